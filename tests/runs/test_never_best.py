"""Wherever runs are ranked or judged, a value that is not finite is never the best."""

import math
from pathlib import Path

import pytest

from dlrun.api.compare import _best
from dlrun.api.gates import OVER, UNDER, parse_gate
from dlrun.config.schema import Reproduces
from dlrun.proofs.reproduce import Cell
from dlrun.runs.metric_direction import is_better
from dlrun.runs.query import sort_by
from dlrun.sweeps.jobs import Job, Plan
from dlrun.workers.key import ProcessKey

BAD = (math.nan, math.inf, -math.inf)


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("bad", BAD)
def test_against_a_number(mode, bad):
    assert not is_better(bad, 0.5, mode)
    assert not is_better(bad, None, mode)
    assert is_better(0.5, bad, mode)


@pytest.mark.parametrize("name", ["loss", "accuracy"])
@pytest.mark.parametrize("bad", BAD)
def test_in_a_list_of_runs(name, bad):
    records = [{"run": n, "validation": {name: v}} for n, v in enumerate((bad, 0.2, 0.4))]
    best_first = {"loss": [1, 2, 0], "accuracy": [2, 1, 0]}[name]
    assert [record["run"] for record in sort_by(records, f"val_{name}")] == best_first
    reverse = [record["run"] for record in sort_by(records, f"val_{name}", reverse=True)]
    assert reverse == [*best_first[1::-1], 0]  # those without a number stay last
    assert _best(f"validation.{name}", [bad, 0.2, 0.4]) == best_first[:1]


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("bad", BAD)
def test_in_a_leaderboard(mode, bad):
    key = ProcessKey("jax", "cpu", "float32", False, "")
    jobs = [
        Job(number, [], {}, key, Path(), state="completed", result={"validation": {"loss": value}})
        for number, value in enumerate((bad, 0.2, 0.4))
    ]
    ranked = Plan(Path(), [], jobs, "val_loss", mode).ranking()
    assert [job.number for job in ranked] == {"min": [1, 2, 0], "max": [2, 1, 0]}[mode]


@pytest.mark.parametrize("bad", BAD)
def test_at_a_gate(bad):
    for option in (UNDER, OVER):
        assert parse_gate(option, "odd=0.5", {"odd": None}).failure(bad)
    cell = Cell("", Reproduces(metric="test.loss", least=-1.0), "", "", {"test": {"loss": bad}})
    assert not cell.reached
