"""What pages are made of: nothing of a run becomes markup."""

import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.stats import rankdata

from dlrun.report.page.charts.lines import thin
from dlrun.report.page.charts.parallel import Track, parallel
from dlrun.report.page.charts.scale import ticks, whole_ticks
from dlrun.report.page.importance import UNSET, explained_share, importances, ranks_of
from dlrun.report.page.markup import element, json_script, raw
from dlrun.report.page.parts import tiles
from dlrun.report.page.png import image, png
from dlrun.report.page.sections.sweep.pareto import pareto
from dlrun.report.page.sweep_view import SweepView

HOSTILE = (
    "</script><script>window.canary = 1</script>",
    '"><img src=x onerror="window.canary = 1">',
    "' autofocus onfocus='window.canary = 1' x='",
    "<!-- ]]> & &lt; {{7*7}}",
    "a\u202eb\x00\u2028c",
)


class Parsed(HTMLParser):
    """The elements and the text of markup."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags: list = []
        self.words = ""
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data) -> None:
        self.words += data


@pytest.mark.parametrize("text", HOSTILE)
def test_text_and_attributes_come_back_as_they_were_and_make_no_element(text):
    parsed = Parsed(element("p", text, ["more ", text], title=text))
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    assert parsed.tags == [("p", {"title": shown})]
    assert parsed.words == f"{shown}more {shown}"


@pytest.mark.parametrize("text", HOSTILE)
def test_json_in_a_script_can_not_end_it_and_is_the_same_value(text):
    script = json_script("charts", {text: [text, 1.5, None]})
    [tag] = Parsed(script).tags
    assert tag == ("script", {"type": "application/json", "id": "charts"})
    inner = re.fullmatch(r"<script[^>]*>(.*)</script>", script, re.DOTALL)[1]
    assert json.loads(inner) == {text: [text, 1.5, None]}
    assert not set("<>&\u2028") & set(inner)


@pytest.mark.parametrize("name", ["onclick", "style", "a b", 'x="', "ONLOAD"])
def test_attributes_that_run_code_or_that_are_none_are_refused(name):
    with pytest.raises(ValueError, match="attribute"):
        element("p", **{name: "x"})


def test_only_markup_is_not_escaped_again():
    inner = element("b", "<i>")
    assert element("p", inner, raw("<br/>")) == "<p><b>&lt;i&gt;</b><br/></p>"


@pytest.mark.parametrize("shape", [(28, 28, 1), (5, 9, 3), (1, 400, 3), (200, 300, 1)])
def test_images_are_png_files_of_the_same_pixels(shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    with Image.open(io.BytesIO(png(pixels))) as opened:
        assert np.array_equal(np.asarray(opened).reshape(shape), pixels)
    assert len(image(pixels, "a")) < 40_000  # a large one is made smaller


def test_importance_is_the_adjusted_share_of_variance_that_the_groups_explain():
    draw = np.random.default_rng(1)
    keys = draw.choice(["a", "b", "c"], 60)
    values = np.where(keys == "a", 0.0, 1.0) + draw.normal(0, 0.5, 60)
    one_hot = (keys[:, None] == np.unique(keys)).astype(np.float64)
    fitted = one_hot @ np.linalg.lstsq(one_hot, values, rcond=None)[0]
    squared = 1 - ((values - fitted) ** 2).sum() / ((values - values.mean()) ** 2).sum()
    adjusted = 1 - (1 - squared) * (60 - 1) / (60 - 3)
    groups = [np.flatnonzero(keys == key).tolist() for key in "abc"]
    assert explained_share(groups, values.tolist()) == pytest.approx(adjusted, rel=1e-12)


def test_the_key_that_decides_comes_first_and_noise_explains_nothing():
    draw = np.random.default_rng(2)
    rates = 10 ** draw.uniform(-4, -1, 120)
    noise = draw.choice(["x", "y"], 120)
    loss = np.abs(np.log10(rates) + 2.5) + draw.normal(0, 0.02, 120)
    settings = [{"rate": f"{r}", "noise": str(n)} for r, n in zip(rates, noise, strict=True)]
    first, second = importances(["noise", "rate"], settings, loss.tolist(), "min")
    assert (first.key, second.key) == ("rate", "noise")
    assert first.share > 0.6 and second.share < 0.05
    low, high = map(float, first.best.split(" to "))
    assert low < 10**-2.5 < high * 1.5
    values = [3.0, 1.0, 3.0, 2.0]
    assert ranks_of(values) == rankdata(values).tolist()


def test_a_key_that_some_runs_do_not_set_is_judged_by_parts_and_has_a_place_for_them():
    momenta = [f"{n / 30:.3f}" for n in range(30)]
    settings = [*({"optimizer": "adam"} for _ in range(30)), *({"m": m} for m in momenta)]
    loss = [*(1 + n / 1e3 for n in range(30)), *(abs(float(m) - 0.5) for m in momenta)]
    [of] = importances(["m"], settings, loss, "min")
    assert (of.groups, of.best) == (6, "0.4 to 0.567")
    assert of.share > 0.8

    tracks = [Track("0", "a", ["adam", UNSET], 1, ""), Track("1", "b", ["sgd", "0.0"], 2, "")]
    tracks += [Track(str(n), "c", ["sgd", m], 3, "") for n, m in enumerate(momenta, 2)]
    svg, entry = parallel("p", "title", "summary", ["optimizer", "m", "val_loss"], tracks)
    (_, without), (_, zero), (_, one) = (entry["lines"][n]["points"][1] for n in (0, 1, -1))
    assert without > zero + 30 > one + 30  # below all values, and 0 is not mistaken for it
    assert entry["lines"][0]["tell"][1] == "m not set" and "not set" in Parsed(str(svg)).words


def places_of(results):
    """Where the lines of a sweep cross the axis of its key, and that of its results."""
    tracks = [Track(str(n), "x", [str(2**n)], of, "") for n, of in enumerate(results)]
    _, entry = parallel("p", "title", "summary", ["units", "val_loss"], tracks)
    return zip(*([y for _, y in line["points"]] for line in entry["lines"]), strict=True)


@pytest.mark.parametrize("factor", [1, 1e-6, 12345.0])
def test_the_few_results_of_a_sweep_lie_as_far_apart_as_their_numbers(factor):
    _, (first, second, third) = places_of([1 * factor, 1.1 * factor, 3 * factor])
    assert (first - second) / (first - third) == pytest.approx(0.05, abs=0.01)


def test_the_few_values_of_a_key_lie_at_equal_distances():
    (one, two, four), _ = places_of([1, 1.1, 3])
    assert one - two == pytest.approx(two - four) and one > two


@pytest.mark.parametrize("results", [(2, 2, 2), (0.123411, 0.123412, 0.123413), (-1e15,) * 3])
def test_results_that_are_shown_alike_lie_together(results):
    _, places = places_of(results)
    assert all(150 < place < 220 for place in places)


@pytest.mark.parametrize("names", [["a", "b"], ["a", "b", "c"]])
def test_a_front_is_a_line_only_in_a_picture_of_all_objectives(names):
    front = [
        {"run_dirs": [f"x/{n}"], "differs": {}, "values": dict.fromkeys(names, n + 0.00012345)}
        for n in range(3)
    ]
    objectives = [{"name": name, "mode": "max"} for name in names]
    record = {"pareto": {"objectives": objectives, "front": front, "others": []}}
    charts = {}
    section = pareto(SweepView(Path(), "x", record, [], "val_loss", "min", [], {}), charts)
    lines = [len(chart["lines"]) for chart in charts.values()]
    assert lines == ([1 + 3] if len(names) == 2 else [3, 3])
    assert ("joined" in Parsed(str(section.content)).words) == (len(names) == 2)
    assert "0.0001234" in Parsed(str(section.content)).words


@pytest.mark.parametrize("bounds", [(0.1, 0.93), (-3, 4e6), (5, 5), (1e-9, 2e-9), (0.0, 0.0)])
def test_ticks_are_round_and_enclose_the_values(bounds):
    found = ticks(*bounds)
    assert found[0] <= bounds[0] and found[-1] >= bounds[1]
    assert 2 <= len(found) <= 12
    assert np.allclose(np.diff(found), found[1] - found[0], rtol=1e-6, atol=1e-12)


def test_epochs_have_whole_ticks():
    assert whole_ticks(1, 7) == [1, 2, 3, 4, 5, 6, 7]
    assert whole_ticks(1, 100) == [1, 20, 40, 60, 80, 100]
    assert whole_ticks(3, 3) == [3]


def test_a_thinned_line_keeps_its_ends_and_its_extremes():
    points = [(float(n), float(np.sin(n))) for n in range(5000)]
    points[1234] = (1234.0, 99.0)
    kept = thin(points, 100)
    assert len(kept) <= 100 and kept == sorted(kept)
    assert {points[0], points[-1], points[1234]} <= set(kept)


def test_long_name_of_a_figure_breaks_between_words() -> None:
    assert "test mean_<wbr/>absolute_<wbr/>error" in tiles([("test mean_absolute_error", "3.1")])
