"""Seeds and folds in a sweep as one result: grouped, searched by their mean, limited, compared."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from conftest import Dlrun
from dlrun.api.compare_settings import compare_settings
from dlrun.api.settings import group, group_runs
from dlrun.config.compose import compose
from dlrun.config.project import HERE
from dlrun.config.sweeps.repeats import split_repeats, write_out
from dlrun.errors import DlrunError
from dlrun.report.page.sweep_page import sweep_page
from dlrun.report.page.sweep_view import read_sweep
from dlrun.report.settings import comparison_lines
from dlrun.report.sweep import leaderboard
from dlrun.sweeps.jobs import Job
from dlrun.sweeps.limits import parse_limits
from dlrun.sweeps.objectives import Objective, pareto_entry
from dlrun.sweeps.search import Search, Settings
from dlrun.sweeps.sweep_file import load_sweep
from dlrun.workers.key import ProcessKey
from trainings import worker

SMALL = ("data.limit=200", "epochs=1", "batch_size=50", "backend=jax")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_repeats_are_seeds_from_that_of_the_config():
    assert write_out(["epochs=1", "repeats=3"]) == ["epochs=1", "seed=range(0,3)"]
    assert write_out(["seed=7", "repeats=2"]) == ["seed=range(7,9)"]
    assert write_out(["seed=1,2"]) == ["seed=1,2"]
    for wrong in (
        ["repeats=1"],
        ["repeats=a"],
        ["repeats=2", "repeats=3"],
        ["seed=1,2", "repeats=2"],
    ):
        with pytest.raises(DlrunError, match="repeats="):
            write_out(wrong)


def test_a_search_repeats_lists_of_seeds_and_folds_and_searches_anything_else():
    rate = "optimizer.learning_rate=interval(1e-3,1)"
    rest, repeats = split_repeats([rate, "seed=1,2,1", "data.fold=range(2)"])
    assert rest == [rate]
    folds = [("seed=1", 0), ("seed=1", 1), ("seed=2", 0), ("seed=2", 1)]
    assert repeats == [[seed, f"data.fold={fold}"] for seed, fold in folds]
    for alone in ([rate, "seed=interval(0,9)"], ["seed=1,2"], [rate]):
        assert split_repeats(alone) == (alone, [[]])


class Trainings:
    """A search whose runs are not trained: a function gives their values."""

    def __init__(self, directory, jobs=(), **settings):
        overrides = ("optimizer.learning_rate=0.1,0.2,0.3,0.4", "seed=range(3)")
        options = {"sampler": "grid", "trials": 4, **settings}
        self.search = Search(Settings.of(options), overrides, directory, jobs)
        self.search.open()
        self.search.begin(lambda job: None)

    def run(self, most=None):
        for count, job in enumerate(self.search, 1):
            rate, seed = (float(job.differs[key]) for key in ("optimizer.learning_rate", "seed"))
            job.state, job.result = "completed", {"validation": {"loss": rate + seed / 100}}
            self.search.tell(job)
            if count == most:
                break
        return self.search.plan.jobs

    def trials(self):
        return self.search._study._opened.trials


def test_the_search_optimizes_the_mean_over_the_repeats(tmp_path):
    (tmp_path / "one").mkdir()
    searched = Trainings(tmp_path / "one", pruner="none")
    jobs = searched.run()
    assert len(jobs) == searched.search.runs == 12
    assert [job.path.name for job in jobs] == [f"{n:02}" for n in range(12)]
    for trial in searched.trials():
        values = [job.value("val_loss") for job in jobs if job.trial == trial.number]
        assert len(values) == 3
        assert trial.value == pytest.approx(np.mean(values))


def test_a_worse_trial_is_pruned_after_a_repeat_and_a_resumed_search_goes_on(tmp_path):
    (tmp_path / "one").mkdir()
    place = tmp_path / "one"
    first = Trainings(place, pruner="median,n_startup_trials=1").run(most=4)
    assert [job.trial for job in first] == [0, 0, 0, 1]
    again = Trainings(place, first, pruner="median,n_startup_trials=1")
    jobs = again.run()
    by_trial = [sum(job.trial == number for job in jobs) for number in range(4)]
    states = [trial.state.name for trial in again.trials()]
    for count, state in zip(by_trial, states, strict=True):
        assert (count, state) in ((3, "COMPLETE"), (1, "PRUNED"))
    assert "PRUNED" in states
    best = again.search.to_dict(study=True)["best"]
    assert best["params"] == {"optimizer.learning_rate": "0.1"}
    assert best["value"] == pytest.approx(0.11)


def test_a_run_that_was_resumed_with_other_settings_is_in_no_trial(tmp_path):
    longer = ["epochs=9"]
    for name, resumed in (("some", 1), ("all", 3)):
        (tmp_path / name).mkdir()
        search = Trainings(tmp_path / name, pruner="none")
        jobs = [next(search.search) for _ in range(3)]  # their sweep was killed
        for job in jobs:
            job.state, job.result = "completed", {"validation": {"loss": 1 + job.number}}
        for job in jobs[:resumed]:
            job.resumed, job.result = longer, {"validation": {"loss": 0.0}}
        again = Trainings(tmp_path / name, jobs, pruner="none")
        again.run()
        first = again.trials()[0]
        assert (first.state.name, first.value) == (
            ("COMPLETE", 2.5) if name == "some" else ("FAIL", None)
        )
        assert len(again.search.plan.jobs) == 12


def test_the_front_and_a_search_without_repeats_leave_it_out_too(tmp_path):
    objectives = [Objective("val_loss", "min"), Objective("parameters", "min")]
    jobs = [job_of(tmp_path, n, {"validation": {"loss": n}, "parameters": 9}) for n in range(4)]
    jobs[0].resumed = ["epochs=9"]
    jobs[0].trial = jobs[1].trial = 0
    jobs[2].trial = jobs[3].trial = 1
    entry = pareto_entry(jobs, objectives, 2)
    assert [one["runs"] for one in (*entry["front"], *entry["others"])] == [[1], [2, 3]]
    assert entry["front"][0]["values"] == {"val_loss": 1, "parameters": 9}

    rate = "optimizer.learning_rate=0.1,0.2"
    search = Search(Settings.of({"sampler": "grid", "trials": 2}), [rate], tmp_path)
    search.open()
    for job in search:
        job.state, job.result = "completed", {"validation": {"loss": job.number}}
        job.resumed = [] if job.number else ["epochs=9"]
        search.tell(job)
    assert search.to_dict(study=True)["best"]["value"] == 1


def job_of(place, number, result):
    key = ProcessKey.of(compose([]))
    return Job(number, [], {}, key, place / str(number), 1, "completed", result)


def test_limits_are_on_the_mean_or_the_worst_of_a_metric():
    better = {"loss": "min", "accuracy": "max"}
    [mean, worst] = parse_limits(["accuracy=0.9", "worst.accuracy=0.8"], [], better)
    assert (mean.of, mean.name, worst.of, worst.name) == ("mean", "accuracy", "worst", "accuracy")


@pytest.mark.parametrize(
    ("typed", "message", "hint"),
    [
        ("worst.loss=0.1", "smaller values of loss are better", "--fail-over worst.loss=0.1"),
        ("recall[cat]=0.9", "a sweep has loss, accuracy", "dlrun evaluate RUN --fail-under recall"),
        ("accurac=1", "no metric 'accurac'", "did you mean --fail-under accuracy=1?"),
        ("worst.accurac=1", "no metric 'accurac'", "did you mean --fail-under worst.accuracy=1?"),
        ("accuracy", "expected metric=number", "--fail-under accuracy=0.97"),
        ("mean.accuracy=x", "expected metric=number", "--fail-under mean.accuracy=0.97"),
    ],
)
def test_impossible_limits_are_told_as_they_were_typed(typed, message, hint):
    with pytest.raises(DlrunError) as caught:
        parse_limits([typed], [], {"loss": "min", "accuracy": "max"})
    assert caught.value.message.startswith(f"--fail-under {typed}: {message}")
    assert caught.value.hint.startswith(hint)


@pytest.mark.parametrize("typed", ["worst.acc=0", "worst.f1_macr=0", "mse=0"])
def test_a_limit_on_a_sweep_is_offered_no_figures_which_it_would_refuse(typed):
    with pytest.raises(DlrunError) as caught:
        parse_limits([typed], [], {"loss": "min", "top_5_accuracy": "max"})
    name = typed.removeprefix("worst.").removesuffix("=0")
    expected = f"--fail-under {typed}: no metric '{name}'; there are loss, top_5_accuracy"
    assert (caught.value.message, caught.value.hint) == (expected, None)


def test_generated_data_whose_seed_follows_that_of_the_run_tell_no_settings_apart():
    runs = [
        {
            "status": "completed",
            "run_dir": f"runs/sweeps/x/{seed}{rate}",
            "config": to_config([f"seed={seed}", f"optimizer.learning_rate={rate}", "data=blobs"]),
            "validation": {"loss": seed},
        }
        for seed in (0, 1, 2)
        for rate in (0.1, 0.2)
    ]
    assert runs[2]["config"]["data"]["seed"] == 1
    settings = group(runs)
    assert [len(setting.runs) for setting in settings] == [3, 3]
    assert settings[0].differs == {"optimizer.learning_rate": 0.1}
    assert list(settings[0].values("val_loss")) == [(0, None, 0), (1, None, 1), (2, None, 2)]
    # The run of seed 0 again: as good as a copy, it makes no interval narrower.
    again = group([*runs, {**runs[0], "run_dir": "runs/sweeps/y/0"}])[0].to_dict()
    assert (again["n"], again["runs"][0]) == (3, "runs/sweeps/x/00.1")


def to_config(words):
    return asdict(compose([*words, "model=linear_classifier"]))


@pytest.mark.trains
def test_a_sweep_has_a_line_for_each_setting_and_compare_tells_them_apart(tmp_path):
    dlrun = Dlrun(tmp_path)
    words = ("sweep", "repeats=2", "optimizer.learning_rate=1e-5,0.01", *SMALL, "--json")
    done = dlrun(*words, "--jobs", "1", "--fail-under", "worst.accuracy=0.999")
    assert done.returncode == 1
    result = json.loads(done.stdout)
    assert done.stderr.splitlines()[-1].startswith("error: worst.accuracy 0.")
    best, other = result["repeats"]
    assert (best["differs"], best["n"]) == ({"optimizer.learning_rate": "0.01"}, 2)
    runs = [run for run in result["runs"] if run["differs"]["optimizer.learning_rate"] == "0.01"]
    for name in ("loss", "accuracy"):
        values = [run["test"][name] for run in runs]
        assert best["test"][name]["mean"] == pytest.approx(np.mean(values))
    assert best["test"]["accuracy"]["worst"] == min(run["test"]["accuracy"] for run in runs)

    compared = compare_settings([result["sweep_dir"]], runs_dir=Path("runs"))
    assert "by more than its repeats" in comparison_lines(compared)
    assert [each["n"] for each in compared["settings"]] == [2, 2]
    assert compared["settings"][0]["metrics"]["test.loss"] == best["test"]["loss"]
    tests = {each["metric"]: each for each in compared["differences"]}
    gap = other["test"]["loss"]["mean"] - best["test"]["loss"]["mean"]
    assert tests["test.loss"]["test"] == "paired t"
    assert tests["test.loss"]["difference"] == pytest.approx(gap)

    listed = [each.to_dict() for each in group_runs(Path("runs"), sort="val_loss")]
    assert [each["n"] for each in listed] == [2, 2]
    assert listed[0]["differs"] == {"optimizer.learning_rate": 0.01}
    assert listed[0]["metrics"] == compared["settings"][0]["metrics"]
    _require_that_a_copy_counts_once(tmp_path / result["sweep_dir"])
    _require_that_a_longer_run_is_no_repeat(tmp_path, Path(result["sweep_dir"]), runs)


def _require_that_a_copy_counts_once(sweep):
    """A search may draw a setting a second time: equal runs make no interval narrower."""
    copy = sweep.with_name("copy")
    shutil.copytree(sweep, copy)
    record = json.loads((copy / "sweep.json").read_text())
    for run in record["runs"][:2]:
        shutil.copytree(copy / run["run_dir"].rpartition("/")[2], copy / str(run["number"] + 4))
        number = run["number"] + 4
        record["runs"].append({**run, "number": number, "run_dir": str(copy / str(number))})
    (copy / "sweep.json").write_text(json.dumps(record))
    drawn_twice = load_sweep(copy, {}, HERE).to_dict()
    assert len(drawn_twice["runs"]) == 6
    assert drawn_twice["repeats"] == load_sweep(sweep, {}, HERE).to_dict()["repeats"]
    assert [len(runs) for _, runs in read_sweep(copy, "copy").repeats()[1]] == [2, 2]
    shutil.rmtree(copy)


def _require_that_a_longer_run_is_no_repeat(place, sweep, runs):
    """Resume the first of two repeats for more epochs: it is a setting of its own everywhere."""
    longer = worker("jax").resume(place, place / runs[0]["run_dir"], "epochs=+1")
    settings = compare_settings([str(sweep)], runs_dir=Path("runs"))["settings"]
    assert sorted((each["n"], each["differs"]["epochs"]) for each in settings) == [
        (1, 1), (1, 2), (2, 1)
    ]  # fmt: skip
    assert len(group_runs(Path("runs"))) == 3
    page = read_sweep(sweep, "sweep")
    [resumed] = [run for run in page.runs if run.resumed]
    assert resumed.value == longer["validation"]["loss"]
    assert [len(of) for _, of in page.repeats()[1]] == [2]
    assert "no mean of the sweep: " in sweep_page(page)
    again = load_sweep(sweep, {}, HERE).to_dict()
    assert sorted(entry["n"] for entry in again["repeats"]) == [1, 2]
    assert f"Resumed with other settings, so in no mean of the sweep: {resumed.name} (" in (
        leaderboard(again)
    )


def test_a_setting_of_null_is_told_as_it_is_typed():
    momenta = {"sgd": {"momentum": None}, "adam": {}, "nesterov": {"momentum": 0.9}}
    settings = group(
        [
            {"status": "completed", "run_dir": name, "config": {"epochs": 1, **spec}, "test": {}}
            for name, spec in momenta.items()
        ]
    )
    result = {"settings": [setting.to_dict() for setting in settings], "differences": []}
    result["differences"] = [
        {"metric": "val_loss", "other": other, "differs": True, "difference": 1.0}
        | {"low": 0.5, "high": 1.5, "test": "Welch's t", "p": 0.01}
        for other in (1, 2)
    ]
    lines = comparison_lines(result).splitlines()
    cells = {line.split()[0]: line.split()[2:3] for line in lines[2:5]}
    assert cells == {"sgd": ["null"], "adam": [], "nesterov": ["0.9"]}
    assert lines[-2].startswith("val_loss: adam differs from momentum=null by")
    assert lines[-1].startswith("val_loss: momentum=0.9 differs from momentum=null by")


def test_a_search_draws_pairs_whole_and_a_key_only_under_its_condition(tmp_path):
    overrides = (
        "pair=zip(optimizer.learning_rate=1e-3,1e-2 batch_size=64,512)",
        "optimizer=adam,sgd",
        "optimizer.momentum=where(optimizer=sgd,interval(0.0,0.9))",
        "seed=1,2",
    )
    (tmp_path / "one").mkdir()
    search = Search(Settings.of({"sampler": "random", "trials": 8}), overrides, tmp_path / "one")
    search.open()
    jobs = list(search)
    assert len(jobs) == 16
    for job in jobs:
        differs = job.differs
        rate, size = differs["optimizer.learning_rate"], differs["batch_size"]
        assert (rate, size) in (("1e-3", "64"), ("1e-2", "512"))
        assert ("optimizer.momentum" in differs) == (differs["optimizer"] == "sgd")
    assert {job.differs["optimizer"] for job in jobs} == {"adam", "sgd"}
    with pytest.raises(DlrunError, match="tries every combination, and where"):
        Search(Settings.of({"sampler": "grid"}), overrides, tmp_path / "two")
