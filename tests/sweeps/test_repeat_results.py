"""Cross-validation in a sweep: mean and deviation over the folds."""

import json
from pathlib import Path

import numpy as np
import pytest

from dlrun.data.sklearn import sklearn
from dlrun.data.splits import TEST
from dlrun.report.sweep import leaderboard
from dlrun.sweeps.jobs import Job
from dlrun.sweeps.repeats import repeat_results
from dlrun.workers.key import ProcessKey

KEYS = ["data.fold", "model.units"]
KEY = ProcessKey("jax", "cpu", "float32", False, "")


def job(number: int, loss: float | None, accuracy: float, **differs: str) -> Job:
    keys = {"fold": "data.fold", "units": "model.units"}
    named = {keys[key]: value for key, value in differs.items()}
    done = Job(number, [], named, KEY, Path("runs", str(number)), state="completed")
    done.result = {"validation": {"loss": loss}, "test": {"accuracy": accuracy}}
    return done


def test_runs_that_differ_in_their_fold_alone_are_averaged():
    losses = {"8": [0.5, 0.7, 0.6], "64": [0.2, 0.4, 0.9]}
    accuracies = {"8": [0.8, 0.9, 0.7], "64": [0.9, 1.0, 0.5]}
    jobs = [
        job(10 * int(units) + fold, losses[units][fold], accuracies[units][fold],
            fold=str(fold), units=units)
        for units in losses
        for fold in range(3)
    ]  # fmt: skip
    found = repeat_results(jobs, KEYS, "val_loss", "min")
    assert [entry["differs"] for entry in found] == [{"model.units": "64"}, {"model.units": "8"}]
    for entry in found:
        units = entry["differs"]["model.units"]
        assert entry["n"] == 3
        for moments, values in (
            (entry["value"], losses[units]),
            (entry["test"]["accuracy"], accuracies[units]),
        ):
            assert moments["mean"] == pytest.approx(np.mean(values), rel=1e-12)
            assert moments["deviation"] == pytest.approx(np.std(values, ddof=1), rel=1e-12)
    assert repeat_results(jobs, KEYS, "val_loss", "max")[0]["differs"] == {"model.units": "8"}


def test_a_value_that_is_not_finite_has_no_mean():
    jobs = [job(n, loss, 0.5, fold=str(n)) for n, loss in enumerate((0.1, float("nan")))]
    [entry] = repeat_results(jobs, KEYS, "val_loss", "min")
    assert (entry["value"]["mean"], entry["value"]["deviation"]) == (None, None)
    json.dumps(entry, allow_nan=False)


def test_a_single_fold_and_other_sweeps_have_no_mean():
    assert repeat_results([job(0, 0.1, 1.0, fold="0")], KEYS, "val_loss", "min") == []
    several = [job(n, 0.1, 1.0, units=str(n)) for n in range(3)]
    assert repeat_results(several, KEYS, "val_loss", "min") == []


@pytest.mark.parametrize("way", ["random", "stratified"])
def test_each_row_is_tested_exactly_once_over_the_folds(way):
    tested = sum(
        (sklearn(name="wine", split=way, folds=5, fold=fold).splits == TEST).astype(int)
        for fold in range(5)
    )
    assert (tested == 1).all()


@pytest.mark.trains
def test_the_leaderboard_has_a_line_with_mean_and_deviation(dlrun):
    result = dlrun.json(
        "sweep", "data=sklearn", "data.name=iris", "data.folds=3", "data.fold=range(3)",
        "model.units=8", "epochs=2", "batch_size=32", "--jobs", "1",
    )  # fmt: skip
    [entry] = result["repeats"]
    accuracies = [run["test"]["accuracy"] for run in result["runs"]]
    assert entry["test"]["accuracy"]["mean"] == pytest.approx(np.mean(accuracies))
    assert entry["test"]["accuracy"]["deviation"] == pytest.approx(np.std(accuracies, ddof=1))
    head, row, _, meaning = leaderboard(result).splitlines()[-6:-2]
    assert head.split() == ["n", "val_loss", "95%", "worst", "loss", "accuracy"]
    assert meaning.startswith("over data.fold: ")
    assert f"{np.mean(accuracies):.4f} ± {np.std(accuracies, ddof=1):.4f}" in row
