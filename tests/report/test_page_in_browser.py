"""Pages in a real browser: what runs, what is shown and told, in light and dark, small, printed."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from browser import CHROMIUM, Browser
from dlrun.api.report import report
from evaluations import write_evaluation, write_sweep

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
KEPT = Path(__file__).parents[1] / "runs/kept/2026-11-27_11-11-10_wcrm"
MARKUP = "</script><script>window.canary=1</script><img src=x onerror=window.canary=1>\"'&"
# The least contrast of text with what is behind it, in every element that shows some. Colours are
# drawn, as the browser alone knows what a mixed one is.
CONTRAST = """(() => {
  const pen = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgba = (color) => {
    pen.clearRect(0, 0, 1, 1); pen.fillStyle = color; pen.fillRect(0, 0, 1, 1);
    return [...pen.getImageData(0, 0, 1, 1).data];
  };
  const light = (color) => {
    const [r, g, b] = color.slice(0, 3).map((v) => v / 255)
      .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = rgba(getComputedStyle(at).backgroundColor);
      if (color[3] === 255) return color;
    }
    return [255, 255, 255, 255];
  };
  const found = [];
  for (const element of document.body.querySelectorAll('*')) {
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !element.checkVisibility() || element.closest('script, title, desc')) continue;
    const style = getComputedStyle(element);
    const ink = light(rgba(element instanceof SVGElement ? style.fill : style.color));
    const page = light(behind(element));
    const ratio = (Math.max(ink, page) + 0.05) / (Math.min(ink, page) + 0.05);
    found.push([ratio, element.tagName + ' ' + element.textContent.slice(0, 40)]);
  }
  return found.sort((a, b) => a[0] - b[0])[0];
})()"""
CENTRE = """(() => {
  const found = document.querySelector(%s);
  found.scrollIntoView({behavior: 'instant', block: 'center'});
  const box = found.getBoundingClientRect();
  return [box.left, box.top, box.width, box.height];
})()"""


@pytest.fixture(scope="module")
def browser():
    opened = Browser()
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The pages of a run and of a sweep; and of both with markup in every name."""
    home = tmp_path_factory.mktemp("pages")
    return {
        "run": run_page(home / "run", ""),
        "sweep": report(str(write_sweep(home / "sweep", 40, 12)))["report"],
        "run of markup": run_page(home / "marked", MARKUP),
        "sweep of markup": report(str(write_sweep(home / "marks", 40, 12, MARKUP)))["report"],
    }


def run_page(place: Path, mark: str) -> str:
    """The page of a run that was kept, with an evaluation and a graph."""
    shutil.copytree(KEPT, place)
    draw = np.random.default_rng(0)
    names = [f"digit {number}{mark}" for number in range(10)]
    chances = draw.dirichlet(np.ones(10) / 3, 300)
    write_evaluation(place / "evaluation", chances, draw.integers(0, 10, 300), names)
    boxes = [
        {"name": f"{name}{mark}", "type": mark or "Dense", "outputs": [[None, 4]], "inputs": []}
        for name in ("one", "two", "three")
    ]
    layers = [{**box, "parameters": 20, "output_shape": [None, 4]} for box in boxes]
    graph = {"boxes": boxes, "arrows": [[0, 1], [1, 2], [0, 2]]}
    (place / "model.json").write_text(json.dumps({"layers": layers, "graph": graph}))
    if mark:
        record = json.loads((place / "run.json").read_text())
        record |= {"error": mark, "model": mark, "versions": {mark: mark}, "command": [mark]}
        record["config"] |= {mark: mark}
        (place / "run.json").write_text(json.dumps(record))
        text = (place / "metrics.csv").read_text()
        quoted = mark.replace('"', '""')
        (place / "metrics.csv").write_text(text.replace(",loss", f',"loss{quoted}"'))
    return report(str(place))["report"]


@pytest.mark.parametrize("name", ["run", "sweep", "run of markup", "sweep of markup"])
def test_it_runs_without_a_complaint_asks_for_nothing_and_runs_no_markup(browser, pages, name):
    browser.open(Path(pages[name]))
    assert browser.complaints() == []
    assert browser.requests() == [Path(pages[name]).resolve().as_uri()]
    assert browser.value("window.canary === undefined")
    assert browser.value("document.querySelectorAll('script').length") == 2
    assert browser.value("document.querySelectorAll('.plot[tabindex]').length") >= 3
    if "markup" in name:
        assert MARKUP in browser.value("document.body.textContent")


def test_tables_sort_by_numbers_and_say_so(browser, pages):
    browser.open(Path(pages["sweep"]))
    column = """(() => {
      const table = document.querySelector('table.sortable');
      const at = [...table.tHead.rows[0].cells].findIndex((h) => h.textContent === 'learning_rate');
      return [[...table.tBodies[0].rows].map((row) => Number(row.cells[at].dataset.sort)),
              table.tHead.rows[0].cells[at].getAttribute('aria-sort'), at];
    })()"""
    before, sorted_by, at = browser.value(column)
    assert sorted_by == "none" and before != sorted(before)
    button = json.dumps(f"table.sortable th:nth-child({at + 1}) button")
    for expected, said in ((sorted(before), "ascending"), (sorted(before)[::-1], "descending")):
        x, y, width, height = browser.value(CENTRE % button)
        browser.click(x + width / 2, y + height / 2)
        assert browser.value(column)[:2] == [expected, said]


def test_a_chart_tells_its_values_under_the_pointer_and_by_the_keys(browser, pages):
    browser.open(Path(pages["run"]))
    rows = np.genfromtxt(KEPT / "metrics.csv", delimiter=",", names=True)
    x, y, width, height = browser.value(CENTRE % '"#curve-0 svg[role=img]"')
    browser.move(x + 0.98 * width, y + height / 2)
    told = browser.value("document.querySelector('#curve-0 .tip').textContent").split("\n")
    assert told[0] == "epoch 3"
    numbers = [float(line.split()[1]) for line in told[1:]]
    assert numbers == pytest.approx([rows["loss"][2], rows["val_loss"][2]], rel=1e-4)
    browser.value("document.querySelector('#curve-0 .plot').focus()")
    for key in ("ArrowLeft", "ArrowLeft", "Escape", "ArrowRight"):
        browser.key(key)
    reading = browser.value("document.querySelector('#curve-0 .reading').textContent")
    assert re.fullmatch(r"epoch \d, train [\d.]+, validation [\d.]+", reading)


def test_a_run_that_is_pointed_at_is_shown_in_every_chart(browser, pages):
    browser.open(Path(pages["sweep"]))
    x, y, width, height = browser.value(CENTRE % '"table.sortable tbody tr:nth-child(3)"')
    browser.move(x + 40, y + height / 2)
    chosen = "[...document.querySelectorAll('.chosen')].map((mark) => mark.dataset.run)"
    runs = browser.value(chosen)
    assert len(runs) == 4 and len(set(runs)) == 1  # its row, its axes and two curves
    assert width > 0


def test_a_screen_reader_is_told_of_every_image_table_and_chart(browser, pages):
    for name in ("run", "sweep"):
        browser.open(Path(pages[name]))
        images, tables = browser.names("image"), browser.names("table")
        assert len(images) >= 3 and all(images)
        assert len(tables) >= 3 and all(tables) and len(set(images)) == len(images)
        assert browser.names("navigation") == ["Sections"]
        headings = browser.names("heading")
        assert len(headings) > 5 and all(headings)
        assert browser.value("document.documentElement.lang") == "en"
        assert browser.value("document.querySelectorAll('th:not([scope])').length") == 0


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("name", ["run", "sweep"])
def test_text_has_contrast_in_light_and_dark(browser, pages, name, dark):
    browser.open(Path(pages[name]), dark=dark)
    back = browser.value("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", back))) < 200) == dark
    ratio, where = browser.value(CONTRAST)
    assert ratio >= 4.5, where


@pytest.mark.parametrize("name", ["run", "sweep", "run of markup", "sweep of markup"])
def test_a_phone_scrolls_no_page_sideways(browser, pages, name):
    browser.open(Path(pages[name]), width=360, height=740)
    assert browser.value("document.documentElement.scrollWidth") <= 360


def test_it_prints_light_without_what_only_a_screen_needs(browser, pages, tmp_path):
    browser.open(Path(pages["run"]), dark=True)
    browser.dark(True, media="print")
    assert browser.value("getComputedStyle(document.querySelector('nav')).display") == "none"
    ink = browser.value("getComputedStyle(document.body).color")
    assert ink == "rgb(0, 0, 0)"
    browser.pdf(tmp_path / "page.pdf")
    written = (tmp_path / "page.pdf").read_bytes()
    assert written.startswith(b"%PDF") and len(written) > 20_000
    browser.dark(False)
