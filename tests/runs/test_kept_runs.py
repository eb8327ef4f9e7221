"""Runs of an earlier version stay usable when code moves."""

import json
import shutil
from pathlib import Path

import pytest

pytestmark = pytest.mark.trains

KEPT = Path(__file__).parent / "kept"
NAME = "2026-11-27_11-11-10_wcrm"


def kept_run(dlrun) -> Path:
    run = dlrun.cwd / "runs" / "mnist_mlp_dropout" / NAME
    shutil.copytree(KEPT / NAME, run)
    return run


def test_a_run_of_an_earlier_version_is_listed(dlrun) -> None:
    kept_run(dlrun)
    [row] = dlrun.json("runs")["runs"]
    assert (row["status"], row["best_epoch"]) == ("completed", 3)


def test_a_run_of_an_earlier_version_evaluates_to_its_recorded_numbers(dlrun) -> None:
    run = kept_run(dlrun)
    recorded = json.loads((run / "run.json").read_text())["test"]
    measured = dlrun.warm("tensorflow", "evaluate", run)["metrics"]
    assert measured.keys() == recorded.keys()
    assert all(abs(measured[name] - recorded[name]) < 1e-5 for name in recorded)


def test_a_run_of_an_earlier_version_predicts(dlrun) -> None:
    result = dlrun.warm("jax", "predict", kept_run(dlrun))
    assert result["samples"] == 300


def test_a_run_of_an_earlier_version_resumes_to_the_numbers_of_a_new_run(dlrun) -> None:
    run = kept_run(dlrun)
    resumed = dlrun.warm("jax", "resume", run, "epochs=4")
    overrides = json.loads((run / "run.json").read_text())["overrides"]
    straight = dlrun.warm("jax", "train", *overrides, "epochs=4")
    for split in ("train", "validation", "test"):
        assert resumed[split] == pytest.approx(straight[split], abs=1e-2)
    assert resumed["best_epoch"] == straight["best_epoch"] == 4
