"""``dlrun show`` of a run with ``profile=simple`` or ``profile=trace``."""

import json
import shutil
from pathlib import Path

import pytest

from dlrun.api.show import show
from dlrun.report.run import run_text

KEPT = Path(__file__).parents[1] / "runs" / "kept" / "2026-11-27_11-11-10_wcrm"
ROWS = [
    {"phase": "first step", "seconds": 1.5, "share": 0.6, "count": 1, "seconds_beside": 0.0},
    {"phase": "data", "seconds": 1.0, "share": 0.4, "count": 50, "seconds_beside": 0.25},
]


def shown(tmp_path: Path, **entries: object) -> str:
    run = tmp_path / "runs" / "mnist_mlp" / KEPT.name
    shutil.copytree(KEPT, run)
    record = json.loads((run / "run.json").read_text()) | entries
    (run / "run.json").write_text(json.dumps(record))
    return run_text(show(str(run)))


def test_the_rows_are_shown(tmp_path):
    words = shown(tmp_path, profile=ROWS)
    assert "\n\nphase         seconds  share     count         each\nfirst step      1.500" in words
    assert "25.00 ms  and 0.250 s in threads beside\n\n" in words


def test_those_of_a_resumed_run_say_of_which_part_they_are(tmp_path):
    resumed = [{"after": {"epochs": 2, "steps": 7}}]
    words = shown(tmp_path, profile=ROWS, resumed=resumed)
    assert "\nof what ran after step 7 of epoch 3, where the run was resumed\n\n" in words


def test_the_traced_steps_are_shown(tmp_path):
    trace = {"file": "trace/trace.json.gz", "first_step": 11, "last_step": 30}
    words = shown(tmp_path, trace=trace)
    assert "trace    steps 11 to 30, in trace/trace.json.gz\n" in words


@pytest.mark.parametrize("rows", [3, [], [None], [{"phase": "\x1b[2J", "seconds": "many"}]])
def test_a_record_from_elsewhere_may_hold_anything(tmp_path, rows):
    words = shown(tmp_path, profile=rows, resumed=[{"after": {"epochs": None}}], trace=[1])
    assert "\x1b" not in words
