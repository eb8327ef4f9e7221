"""The runs of a sweep, planned without starting one."""

import json
from pathlib import Path

import pytest

from dlrun.config.project import HERE, Project
from dlrun.config.sweeps.pairs import PairedRows
from dlrun.errors import DlrunError
from dlrun.report.page.formats import short_keys
from dlrun.sweeps.jobs import read_plan
from dlrun.sweeps.plan import plan
from dlrun.sweeps.request import SweepRequest
from dlrun.sweeps.run import sweep
from dlrun.sweeps.sweep_file import new_sweep

pytestmark = pytest.mark.usefixtures("cwd")


def runs(*overrides, **options):
    return [job.overrides for job in plan(overrides, **options).jobs]


@pytest.mark.parametrize(
    ("override", "values"),
    [
        ("seed=1,2", ["seed=1", "seed=2"]),
        ("seed=range(3)", ["seed=0", "seed=1", "seed=2"]),
        ("seed=choice(4,7)", ["seed=4", "seed=7"]),
        ("model=glob(mnist_mlp*)", ["model=mnist_mlp", "model=mnist_mlp_dropout"]),
        ("metrics=[accuracy],[accuracy,auc]", ["metrics=[accuracy]", "metrics=[accuracy,auc]"]),
        ("name='a b',c", None),
        ("device=cpu,cpu:0", ["device=cpu", "device=cpu:0"]),
    ],
)
def test_values_follow_hydras_grammar(override, values):
    if values is None:
        with pytest.raises(DlrunError, match="must be letters"):
            runs(override)
    else:
        assert runs(override) == [[value] for value in values]


@pytest.mark.parametrize(
    ("overrides", "listed", "trained"),
    [
        (["seed=1,1,2"], None, ["seed=1", "seed=2"]),
        (["optimizer.learning_rate=1e-3,0.001"], None, ["optimizer.learning_rate=0.001"]),
        (["model=mnist_mlp,mnist_mlp"], None, ["model=mnist_mlp"]),
        (
            ["p=zip(seed=1,2,1 batch_size=[64,64,64])"],
            None,
            ["seed=1 batch_size=64", "seed=2 batch_size=64"],
        ),
        ([], [["seed=1"], ["seed=2"], ["seed=1"]], ["seed=1", "seed=2"]),
        ([], [["seed=0"], []], ["seed=0"]),  # a cell that is empty, and what it stands for
    ],
)
def test_a_run_that_is_listed_twice_is_trained_once(overrides, listed, trained, caplog):
    rows = PairedRows("--runs", listed) if listed else None
    jobs = plan(overrides, listed=rows).jobs
    assert [" ".join(job.overrides) for job in jobs] == trained
    assert [job.number for job in jobs] == list(range(len(trained)))
    assert "left out: 1 of " in caplog.text


def test_a_sweep_and_a_search_lie_in_the_runs_dir_of_the_config(cwd):
    sweeps = [
        plan(["seed=1,2", "runs_dir=mine"]),
        new_sweep(["seed=range(1,3)", "runs_dir=mine"], {}, None, HERE).plan,
        new_sweep(["seed=range(1,3)", "runs_dir=other"], {}, Path("mine"), HERE).plan,
    ]
    assert {str(sweep.directory.parent) for sweep in sweeps} == {"mine/sweeps"}
    for search in (None, {}):
        with pytest.raises(DlrunError, match="runs_dir: expected one value"):
            new_sweep(["runs_dir=choice(a,b)"], search, None, HERE)
    with pytest.raises(DlrunError, match="--resume takes no --runs-dir"):
        sweep(SweepRequest(resume=cwd, runs_dir=Path("mine")))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ("range(0.1,0.4,0.1)", "0.1 0.2 0.3"),
        ("range(0.4,0.1,-0.1)", "0.4 0.3 0.2"),
        ("range(start=0.1,stop=0.8,step=0.1)", "0.1 0.2 0.3 0.4 0.5 0.6 0.7"),
        ("range(1e-5,4e-5,1e-5)", "1e-05 2e-05 3e-05"),
        ("range(0.1,0.31,0.1)", "0.1 0.2 0.3"),
        ("range(1,0,-0.25)", "1.0 0.75 0.5 0.25"),
        ("range(10,0,-3)", "10 7 4 1"),
        ("range(3)", "0 1 2"),
        ("float(range(1,4))", "1.0 2.0 3.0"),
        ("int(range(1,3,0.5))", "1 2"),
        ("sort(range(0,10,3),reverse=true)", "9 6 3 0"),
        ("sort(range(0.4,0,-0.1))", "0.1 0.2 0.3 0.4"),
        ("range(0.1,0.4,0.1),5", "0.1 0.2 0.3 5"),
        ("choice(range(0.3,0.1,-0.1),1e-3)", "0.3 0.2 0.001"),
    ],
)
def test_ranges_hold_exact_decimals(values, expected):
    key = "optimizer.learning_rate"
    assert runs(f"{key}={values}") == [[f"{key}={value}"] for value in expected.split()]


@pytest.mark.parametrize(
    ("values", "expected"),
    [("range(0.1,0.4,0.1)", "0.1 0.2 0.3"), ("range(0.1,0.4,0.1),5", "0.1 0.2 0.3 5")],
)
def test_ranges_of_an_experiment_hold_exact_decimals(cwd, values, expected):
    key = "optimizer.learning_rate"
    experiment(cwd / "configs", "mine", f"  {key}: ['{values}']")
    assert [run[-1] for run in runs("experiment=mine")] == [f"{key}={v}" for v in expected.split()]


def test_every_combination_is_a_run_and_the_last_key_varies_fastest():
    planned = plan(["seed=1,2", "backend=jax,torch", "epochs=3"])
    assert [job.overrides for job in planned.jobs] == [
        [f"seed={seed}", f"backend={backend}", "epochs=3"]
        for seed in (1, 2)
        for backend in ("jax", "torch")
    ]
    assert planned.keys == ["seed", "backend"]
    assert [job.path.name for job in planned.jobs] == ["0", "1", "2", "3"]
    assert planned.jobs[0].path.parent.parent.as_posix() == "runs/sweeps"
    assert planned.jobs[3].label == "seed=2  backend=torch"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["seed=1,x"], "seed=x: expected an integer"),
        (["model=mnist_mlp,mnist_mpl"], "no such option in group 'model'"),
        (["seed=1,2", "seed=3"], "'seed' already has values"),
        (["seed=interval(1,2)"], "is a search range, not a list of values"),
        (["model=glob(nothing*)"], "has no values"),
        (["backend=jax,numpy"], "backend 'numpy' can't train"),
        (["seed=1,2", "init_from=latest"], "init_from: no runs in runs"),
        (["seed=(1"], "can't be parsed"),
        (["seed=range(0,3,0)"], "has the step 0"),
        (["optimizer.learning_rate=range(0.1,inf,0.1)"], "a bound or step that is not finite"),
        (["seed=range(1e9)"], "has more than 100,000 values"),
        (["seed=[range(3)]"], "has several values inside a list"),
    ],
)
def test_one_mistake_in_one_run_starts_nothing(cwd, overrides, message):
    with pytest.raises(DlrunError) as caught:
        plan(overrides)
    assert message in caught.value.message
    assert caught.value.exit_code == 2
    assert not list(cwd.iterdir())


def experiment(directory, name, sweep):
    (directory / "experiment").mkdir(parents=True, exist_ok=True)
    text = f"# @package _global_\n# {name}\nepochs: 2\nsweep:\n{sweep}\n"
    (directory / "experiment" / f"{name}.yaml").write_text(text)


def test_an_experiment_may_define_a_sweep_and_overrides_win(cwd):
    experiment(cwd / "mine", "rates", "  optimizer.learning_rate: [1e-3, 1e-2]\n  seed: range(2)")
    typed, options = "experiment=rates", {"project": Project(cwd / "mine")}
    overrides = runs(typed, **options)
    assert overrides[0] == [typed, "optimizer.learning_rate=0.001", "seed=0"]
    assert len(overrides) == 4
    overrides = runs(typed, "seed=7", **options)
    assert overrides[-1] == [typed, "seed=7", "optimizer.learning_rate=0.01"]
    assert len(overrides) == 2
    assert len(runs("experiment=learning_rates")) == 4


def test_each_of_several_experiments_has_its_own_sweep(cwd):
    experiment(cwd / "configs", "seeds", "  seed: 1,2")
    experiment(cwd / "configs", "widths", "  model.units: 8,16")
    assert runs("experiment=seeds,widths") == [
        ["experiment=seeds", "seed=1"],
        ["experiment=seeds", "seed=2"],
        ["experiment=widths", "model.units=8"],
        ["experiment=widths", "model.units=16"],
    ]


def test_a_sweep_without_values_is_refused(cwd):
    experiment(cwd / "configs", "empty", "  seed: {a: 1}")
    with pytest.raises(DlrunError, match=r"sweep.seed: expected values such as '1,2,3' or a list"):
        plan(["experiment=empty"])


def test_all_runs_start_from_the_same_latest_run(cwd):
    for name in ("2026-11-21_10-00-00_aaaa", "2026-11-21_11-00-00_bbbb"):
        run = cwd / "runs" / "mine" / name
        run.mkdir(parents=True)
        (run / "config.yaml").write_text("")
        (run / "run.json").write_text("{}")
    [first, second] = runs("seed=1,2", "init_from=latest")
    assert first[-1] == second[-1] == 'init_from="runs/mine/2026-11-21_11-00-00_bbbb"'


def test_a_record_is_read_back_and_anything_else_is_refused(cwd):
    run = {"number": 0, "overrides": ["seed=1"], "differs": {"seed": "1"}, "epochs_planned": 3}
    run |= {"key": ["jax", "auto", "float32", True, "auto"], "run_dir": "elsewhere/0"}
    record = {"keys": ["seed"], "monitor": "val_loss", "mode": "min", "runs": [run]}
    planned = read_plan(json.loads(json.dumps(record)), cwd)
    assert (planned.jobs[0].path, planned.jobs[0].epochs) == (cwd / "0", 3)
    for broken in ({}, [], {**record, "runs": [1]}, {**record, "runs": [{**run, "number": "x"}]}):
        with pytest.raises(DlrunError, match="is not the directory of a sweep"):
            read_plan(broken, cwd)


def test_keys_are_shortened_to_their_last_part_if_unique():
    keys = ["optimizer.learning_rate", "model.units", "other.units"]
    assert list(short_keys(keys).values()) == ["learning_rate", "model.units", "other.units"]


def test_a_run_whose_metric_is_not_a_number_is_ranked_last():
    planned = plan(["seed=1,2,3"])
    for job, loss in zip(planned.jobs, (float("nan"), 0.5, 0.1), strict=True):
        job.state, job.result = "completed", {"validation": {"loss": loss}}
    assert [job.number for job in planned.ranking()] == [2, 1, 0]
    planned.jobs[0].result["validation"]["loss"] = None
    assert [job.number for job in planned.ranking()] == [2, 1, 0]
