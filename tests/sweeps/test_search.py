"""``dlrun sweep --search optuna``: real studies, and real training where runs matter."""

import importlib.util
import itertools
import math
import os
import signal
import subprocess
import time
from statistics import median

import optuna
import pytest

from conftest import COMMAND, strict_json
from dlrun.config.sweeps.expand import search_space
from dlrun.config.sweeps.space import Choice, Interval
from dlrun.errors import DlrunError
from dlrun.runs.directory import lock
from dlrun.sweeps.search import Search, Settings
from dlrun.sweeps.sweep_file import Sweep
from studies import open_study

SMALL = ("backend=jax", "data.limit=500", "epochs=2", "batch_size=64")
SPACE = (
    "optimizer.learning_rate=tag(log, interval(1e-4, 1e-1))",
    "seed=interval(0, 99)",
    "optimizer=adam,rmsprop",
)
SEARCH = ("--search", "optuna", "--pruner", "none")


def trials(path, name=None):
    """The trials of a study's file, read by Optuna alone."""
    return optuna.load_study(study_name=name, storage=f"sqlite:///{path}").trials


def draws(directory, *overrides, **options):
    """The values that a search draws without any results."""
    directory.mkdir()
    search = Search(Settings.of(options), overrides, directory)
    search.open()
    return [job.differs for job in search]


def refused(*overrides, tmp_path, **options):
    with pytest.raises(DlrunError) as raised:
        Search(Settings.of(options), overrides, tmp_path / "none")
    assert raised.value.exit_code == 2
    return raised.value.message, raised.value.hint


@pytest.mark.slow
def test_two_processes_share_a_study_and_its_trials_are_those_of_the_seed(dlrun, tmp_path):
    command = [COMMAND, "sweep", *SMALL, *SPACE, *SEARCH, "--sampler", "random"]
    command += ["--storage", "sqlite:///shared.db", "--study", "digits", "--trials", "3", "-j", "1"]
    both = [
        subprocess.Popen(
            [*command, "--runs-dir", name, "--json"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in ("one", "two")
    ]
    results = []
    for process in both:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        results.append(strict_json(out))

    study = trials(tmp_path / "shared.db", "digits")
    assert [trial.state.name for trial in study] == ["COMPLETE"] * 6
    for trial in study:
        values = trial.params
        assert 1e-4 <= values["optimizer.learning_rate"] <= 1e-1
        assert values["seed"] in range(100)
        assert values["optimizer"] in ("adam", "rmsprop")
    # A search in one process draws the same values for each trial number.
    alone = draws(tmp_path / "alone", *SMALL, *SPACE, sampler="random", trials=6)
    drawn = [{key: str(value) for key, value in trial.params.items()} for trial in study]
    assert drawn == alone
    assert len({tuple(values.items()) for values in alone}) == 6

    runs = [run for result in results for run in result["runs"]]
    assert sorted(run["trial"] for run in runs) == list(range(6))
    for run in runs:
        trial = study[run["trial"]]
        assert trial.value == run["validation"]["loss"]
        assert trial.intermediate_values.keys() == {1, 2}
        rate = f"optimizer.learning_rate={trial.params['optimizer.learning_rate']!r}"
        assert rate in run["overrides"]
    best = min(study, key=lambda trial: trial.value)
    last = {"trial": best.number, "value": best.value, "params": best.params}
    assert last in [result["search"]["best"] for result in results]
    recorded = strict_json((tmp_path / results[0]["sweep_dir"] / "sweep.json").read_text())
    assert recorded["search"] == {
        "trials": 3,
        "sampler": "random",
        "pruner": "none",
        "study": "digits",
        "storage": f"sqlite:///{tmp_path / 'shared.db'}",
    }
    assert [run["overrides"] for run in recorded["runs"]] == [
        run["overrides"] for run in results[0]["runs"]
    ]

    other = dlrun("sweep", *command[2:], "task.monitor=val_accuracy", "--runs-dir", "three")
    assert other.returncode == 2
    assert "the study digits is to minimize val_loss, not to maximize" in other.stderr
    assert not (tmp_path / "three").exists()


def test_bad_runs_are_pruned_and_failing_runs_fail_alone(dlrun):
    rates = "optimizer.learning_rate=0.1,1e-9,1e30"
    done = dlrun(
        *("sweep", *SMALL, "epochs=3", "optimizer=sgd", "seed=1", rates, "--jobs", "1"),
        *("--search", "optuna", "--sampler", "grid", "--pruner", "median,n_startup_trials=1"),
        "--json",
    )
    assert done.returncode == 1
    result = strict_json(done.stdout)
    assert (result["completed"], result["pruned"], result["failed"]) == (1, 1, 1)
    ran = {run["differs"]["optimizer.learning_rate"]: run for run in result["runs"]}
    assert next(iter(ran)) == "0.1", "this seed draws the best value first"
    assert (ran["0.1"]["epochs"], ran["0.1"]["stopped_by"]) == (3, "epochs")
    assert (ran["1e-09"]["epochs"], ran["1e-09"]["stopped_by"]) == (1, "pruning")
    assert ran["1e+30"]["error"].startswith("the loss is nan in epoch 1, step ")
    assert result["best"] == ran["0.1"]
    assert [run["status"] for run in result["ranking"]] == ["completed", "completed"]

    directory = dlrun.cwd / result["sweep_dir"]
    states = {
        t.params["optimizer.learning_rate"]: t.state.name for t in trials(directory / "study.db")
    }
    assert states == {"0.1": "COMPLETE", "1e-09": "PRUNED", "1e+30": "FAIL"}
    assert result["search"]["best"]["params"] == {"optimizer.learning_rate": "0.1"}
    assert "1/1 pruned" in (directory / "leaderboard.csv").read_text()


def test_a_stopped_search_resumes_its_study(dlrun):
    command = ("sweep", "backend=jax", "data.limit=1000", "epochs=8", "~callbacks.early_stopping")
    process = subprocess.Popen(
        [COMMAND, *command, SPACE[0], *SEARCH, "--trials", "2", "--jobs", "1"],
        cwd=dlrun.cwd,
        stderr=subprocess.PIPE,
        env=os.environ,
    )
    deadline = time.monotonic() + 60
    while not list(dlrun.cwd.glob("runs/sweeps/*/0/checkpoints/epoch-0002")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 143
    [directory] = dlrun.cwd.glob("runs/sweeps/*")
    [interrupted] = trials(directory / "study.db")
    assert interrupted.state.name == "RUNNING"

    result = dlrun.json("sweep", "--resume", directory, "--trials", "3")
    assert result["completed"] == 3
    study = trials(directory / "study.db")
    assert [trial.state.name for trial in study] == ["COMPLETE"] * 3
    assert study[0].params == interrupted.params
    assert len({trial.params["optimizer.learning_rate"] for trial in study}) == 3
    first = strict_json((directory / "0" / "run.json").read_text())
    assert first["resumed"][0]["after"]["epochs"] >= 2
    assert study[0].intermediate_values.keys() == set(range(1, 9))
    assert study[0].value == first["validation"]["loss"]


def test_an_earlier_search_keeps_its_trials_and_needs_its_study(dlrun):
    directory = dlrun.cwd / "runs/sweeps/rates"
    directory.mkdir(parents=True)
    search = Search(Settings(trials=3), ["backend=jax", SPACE[0]], directory)
    search.open()
    assert len(list(search)) == 3
    metadata = {"overrides": search.overrides, "started": "2026-11-21T10:00:00+0000", "jobs": 1}
    Sweep(search.plan, search, metadata, new=False).write()
    record = (directory / "sweep.json").read_text()
    fewer = dlrun.here("sweep", "--resume", directory, "--trials", "2")
    assert (fewer.returncode, fewer.stdout) == (2, "")
    assert "--trials 2: the search has 3 already" in fewer.stderr

    def lost():
        ended = dlrun.here("sweep", "--resume", directory, "--trials", "4")
        assert (ended.returncode, ended.stdout) == (2, "")
        assert "lacks trial 0, which the sweep has" in ended.stderr
        assert (directory / "sweep.json").read_text() == record

    (directory / "study.db").unlink()
    lost()
    assert not (directory / "study.db").exists()
    open_study({"seed": Interval(0, 9, 1)}, path=directory / "study.db", name="another")
    lost()
    names = optuna.get_all_study_names(f"sqlite:///{directory / 'study.db'}")
    assert names == ["another"]
    with lock(directory):
        busy = dlrun.here("sweep", "--resume", directory)
    assert f"{directory} is being written by this process" in busy.stderr


def test_equal_results_give_equal_and_improving_trials():
    space = {"rate": Interval(1e-6, 1.0, None, log=True)}

    def rates(name, seed=0, trials=25):
        study = open_study(space, "tpe", seed=seed, name=name)
        drawn = []
        for _ in range(trials):
            number, values = study.ask(name)
            drawn.append(math.log10(values["rate"]))
            study.tell(number, [abs(drawn[-1] + 3)], pruned=False)
        return drawn

    first = rates("first")
    assert rates("second", trials=13) == first[:13]
    assert rates("third", seed=1, trials=1) != first[:1]
    assert 1 <= sum(rate < -3 for rate in first[:10]) <= 9, "draws cover the orders of magnitude"
    assert median(abs(rate + 3) for rate in first[15:]) < 1, "random draws would give 1.5"


def test_any_sampler_of_optuna_can_be_named():
    space = {"seed": Interval(0, 2, 1), "optimizer": Choice(("adam", "sgd"))}
    every = set(itertools.product(range(3), ("adam", "sgd")))
    samplers = ["tpe,multivariate=true", "QMCSampler", "optuna.samplers.NSGAIISampler"]
    for sampler in [*samplers, "grid", "brute_force"]:
        study = open_study(space, sampler)
        drawn = []
        while len(drawn) < 8 and (asked := study.ask("run")):
            number, values = asked
            drawn.append((values["seed"], values["optimizer"]))
            study.tell(number, [1.0], pruned=False)
        assert set(drawn) <= every
        assert len(drawn) == (8 if sampler in samplers else 6), sampler
    assert set(drawn) == every


@pytest.mark.parametrize("sampler", ["grid", "brute_force"])
def test_a_grid_grows_and_ends_and_repeats_nothing(tmp_path, sampler):
    def ask(space, processes=1):
        """What each process draws until it is told that all is tried."""
        path = tmp_path / "study.db"
        studies = [open_study(space, sampler, path=path) for _ in range(processes)]
        drawn = []
        while studies:
            for study in list(studies):  # all are running at once
                if asked := study.ask("run"):
                    drawn.append(tuple(asked[1][key] for key in space))
                else:
                    studies.remove(study)
        return drawn

    small = {"seed": Interval(0, 1, 1), "rate": Interval(0.1, 0.3, 0.1)}
    points = set(itertools.product((0, 1), (0.1, 0.2, 0.3)))
    first = ask(small, processes=2)
    assert len(first) == 6
    assert set(first) == points
    assert ask(small) == []
    grown = ask({"seed": Interval(0, 2, 1), "rate": Interval(0.1, 0.4, 0.1)})
    assert len(grown) == 12 - 6
    assert set(grown) == set(itertools.product((0, 1, 2), (0.1, 0.2, 0.3, 0.4))) - points


def test_the_newest_run_is_the_same_for_all_trials(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("2026-11-21_10-00-00_aaaa", "2026-11-21_11-00-00_bbbb"):
        run = tmp_path / "runs" / "mine" / name
        run.mkdir(parents=True)
        (run / "config.yaml").write_text("")
        (run / "run.json").write_text("{}")
    (tmp_path / "sweep").mkdir()
    search = Search(Settings(), ["seed=interval(0, 99)", "init_from=latest"], tmp_path / "sweep")
    pin = 'init_from="runs/mine/2026-11-21_11-00-00_bbbb"'
    assert search.overrides[-1] == pin  # recorded for --resume
    search.open()
    assert pin in next(search).overrides


def test_integer_ranges_draw_integers_and_choices_stay_integers(tmp_path):
    values = draws(
        tmp_path / "search",
        *(
            "epochs=interval(1, 3)",
            "optimizer.learning_rate=interval(0, 1)",
            "batch_size=range(32,97,32)",
        ),
        sampler="random",
        trials=12,
    )
    assert {drawn["epochs"] for drawn in values} == {"1", "2", "3"}
    assert {drawn["batch_size"] for drawn in values} == {"32", "64", "96"}
    assert len({drawn["optimizer.learning_rate"] for drawn in values}) == 12


def test_a_range_is_searched_in_exact_decimals():
    key = "optimizer.learning_rate"
    _, space = search_space([f"{key}=range(0.1,1,0.1)"])
    assert search_space([f"{key}=range(0.9,0,-0.1)"])[1] == space
    tenths = {tenth / 10 for tenth in range(1, 10)}
    for sampler in ("random", "tpe,n_startup_trials=2", "grid", "bruteforce"):
        study = open_study(space, sampler)
        drawn = [study.ask("run")[1][key] for _ in range(9)]
        assert set(drawn) == tenths if sampler in ("grid", "bruteforce") else set(drawn) <= tenths


def test_mistakes_are_reported_before_anything_starts(tmp_path, dlrun, monkeypatch):
    def error(*overrides, **options):
        return refused(*overrides, tmp_path=tmp_path, **options)

    assert error("epochs=3")[0] == "nothing to search: no key has several values"
    assert error("epochs=interval(3, 1)")[0] == "epochs=interval(3, 1): begins at 3 and ends at 1"
    assert "log expects values above 0" in error("epochs=tag(log, interval(0, 3))")[0]
    assert error("epochs=1,0")[0] == "epochs=0: must be a number above 0, got 0"
    assert error("seed=1,2", sampler="tqe")[1] == "did you mean tpe?"
    assert "expected one of hyperband, median, none" in error("seed=1,2", pruner="os.system")[0]
    message, _ = error("seed=1,2", pruner="median,startup=1")
    assert "'startup' is not one of interval_steps" in message
    message, _ = error("optimizer.learning_rate=interval(0, 1)", sampler="grid")
    assert "optimizer.learning_rate has infinitely many values" in message
    assert error("seed=1,2", storage="shared.db")[1] == "--storage sqlite:///study.db"
    assert "there is no directory" in error("seed=1,2", storage="sqlite:////none/study.db")[0]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert error("seed=1,2")[1] == "pip install 'dlrun[optuna]'"
    monkeypatch.undo()

    for arguments, message in (
        (("seed=1,2", "--trials", "3"), "error: --trials requires --search optuna\n"),
        (("seed=1,2", "--search", "optune"), "error: --search optune: expected one of optuna"),
        (("seed=interval(1,2)",), "or search with --search optuna"),
    ):
        done = dlrun.here("sweep", *arguments)
        assert done.returncode == 2
        assert message in done.stderr
    planned = dlrun.here("sweep", *SPACE, "--search", "optuna", "--dry-run")
    assert planned.stdout.startswith("20 trials of optimizer.learning_rate, seed, optimizer,")
    assert not (dlrun.cwd / "runs").exists()
