"""``dlrun show`` and ``dlrun report`` of a run with ``profile=simple`` or ``profile=trace``."""

import json
import shutil
from pathlib import Path

import pytest

from dlrun.api.report import report
from dlrun.api.show import show
from dlrun.report.run import run_text
from pages import Page

KEPT = Path(__file__).parents[1] / "runs" / "kept" / "2026-11-27_11-11-10_wcrm"
ROWS = [
    {"phase": "first step", "seconds": 1.5, "share": 0.6, "count": 1, "seconds_beside": 0.0},
    {"phase": "data", "seconds": 1.0, "share": 0.4, "count": 50, "seconds_beside": 0.25},
]


RESUMED = [{"after": {"epochs": 2, "steps": 7}}]
TRACE = {"file": "trace/trace.json.gz", "first_step": 11, "last_step": 30}
FROM_ELSEWHERE = (
    3,
    [],
    [None],
    [{"phase": "\x1b[2J", "seconds": "many"}],
    [{"phase": ["<b>"], "seconds": float("inf"), "share": -1e999, "count": 10**400}],
)


def kept(tmp_path: Path, **entries: object) -> str:
    run = tmp_path / "runs" / "mnist_mlp" / KEPT.name
    shutil.copytree(KEPT, run)
    record = json.loads((run / "run.json").read_text()) | entries
    (run / "run.json").write_text(json.dumps(record))
    return str(run)


def shown(tmp_path: Path, **entries: object) -> str:
    return run_text(show(kept(tmp_path, **entries)))


def page_of(tmp_path: Path, **entries: object) -> Page:
    return Page(Path(report(kept(tmp_path, **entries), with_data=False)["report"]))


def test_the_rows_are_shown(tmp_path):
    words = shown(tmp_path, profile=ROWS)
    assert "\n\nphase         seconds  share     count         each\nfirst step      1.500" in words
    assert "25.00 ms  and 0.250 s in threads beside\n\n" in words


def test_those_of_a_resumed_run_say_of_which_part_they_are(tmp_path):
    words = shown(tmp_path, profile=ROWS, resumed=RESUMED)
    assert "\nof what ran after step 7 of epoch 3, where the run was resumed\n\n" in words


def test_the_traced_steps_are_shown(tmp_path):
    words = shown(tmp_path, trace=TRACE)
    assert "trace    steps 11 to 30, in trace/trace.json.gz\n" in words


def test_the_page_has_the_rows_and_the_traced_steps(tmp_path):
    page = page_of(tmp_path, profile=ROWS, resumed=RESUMED, trace=TRACE)
    head, first, data = page.tables["Profile by phase"]
    assert head == ["phase", "time", "share", "", "count", "each", "in threads beside"]
    assert first == ["first step", "1.5 s", "60.0 %", "", "1", "1.5 s", ""]
    assert data == ["data", "1.0 s", "40.0 %", "", "50", "25 ms", "250 ms"]
    assert "The profile is of what ran after step 7 of epoch 3, where" in page.words
    assert "A trace of steps 11 to 30, in trace/trace.json.gz" in page.words


def test_the_page_has_no_empty_column_and_no_empty_section(tmp_path):
    page = page_of(tmp_path / "simple", profile=ROWS[:1])
    assert page.tables["Profile by phase"][0][-1] == "each"
    assert "#profile" in page.text
    assert "#profile" not in page_of(tmp_path / "none").text


@pytest.mark.parametrize("rows", FROM_ELSEWHERE)
def test_a_record_from_elsewhere_may_hold_anything(tmp_path, rows):
    resumed = [{"after": {"epochs": float("inf")}}]
    words = shown(tmp_path / "show", profile=rows, resumed=resumed, trace=[1])
    assert "\x1b" not in words
    page = page_of(tmp_path / "page", profile=rows, resumed=resumed, trace=[1])
    assert "<b>" not in page.text
