"""``dlrun sweep --search optuna --objectives A,B``: the Pareto front, in every output."""

import random
from pathlib import Path

import optuna
import pytest

from conftest import strict_json
from dlrun.api.report import report
from dlrun.config.sweeps.space import Choice
from dlrun.errors import DlrunError
from dlrun.evaluation.pareto import pareto_front
from dlrun.sweeps.search import Search, Settings
from dlrun.sweeps.search_options import search_options
from dlrun.sweeps.study import Study
from pages import Page

GOALS = "val_accuracy,parameters"
SMALL = ("backend=jax", "data.limit=300", "epochs=1", "batch_size=64", "model.units=4,8,32")


def beaten(point, points):
    """Whether another point has at least this accuracy and at most these parameters, not both."""
    return any(a >= point[0] and b <= point[1] and (a, b) != tuple(point) for a, b in points)


def test_the_front_is_what_no_other_beats():
    draw = random.Random(0)
    points = [(draw.randint(0, 9), draw.randint(0, 9)) for _ in range(60)]
    found = pareto_front(points, ["max", "min"])
    assert found == [not beaten(point, points) for point in points]
    assert 1 < sum(found) < 60
    assert pareto_front([(1, 1), (1, 1)], ["min", "min"]) == [True, True]


@pytest.mark.trains
def test_a_search_has_a_front_resumes_and_keeps_its_checkpoints(dlrun):
    rates = "optimizer.learning_rate=tag(log, interval(1e-4, 1e-1))"
    options = ("--search", "optuna", "--objectives", GOALS, "--keep", "best", "-j", "1")
    first = dlrun.json("sweep", *SMALL, rates, *options, "--trials", "4")
    result = dlrun.json("sweep", "--resume", first["sweep_dir"], "--trials", "6")
    assert [run["run_dir"] for run in result["runs"][:4]] == [r["run_dir"] for r in first["runs"]]
    points = {
        run["run_dir"]: (run["validation"]["accuracy"], run["parameters"]) for run in result["runs"]
    }
    assert len(points) == 6
    best = {path for path, point in points.items() if not beaten(point, points.values())}
    pareto = result["pareto"]
    assert pareto["objectives"] == [
        {"name": "val_accuracy", "mode": "max"},
        {"name": "parameters", "mode": "min"},
    ]
    assert {path for one in pareto["front"] for path in one["run_dirs"]} == best
    for one in (*pareto["front"], *pareto["others"]):
        assert tuple(one["values"].values()) == points[one["run_dirs"][0]]
    directory = dlrun.cwd / result["sweep_dir"]
    recorded = strict_json((directory / "sweep.json").read_text())
    assert recorded["pareto"] == pareto
    assert (recorded["search"]["pruner"], recorded["search"]["objectives"]) == ("none", GOALS)
    study = optuna.load_study(study_name=None, storage=f"sqlite:///{directory / 'study.db'}")
    assert [trial.values for trial in study.trials] == [list(point) for point in points.values()]
    assert len(result["search"]["front"]) == len(study.best_trials) == len(best)
    kept = {path for path in points if any((dlrun.cwd / path).glob("checkpoints/*/"))}
    assert kept == best

    page = Page(Path(report(str(directory))["report"]))
    table = page.tables["The Pareto front, the best val_accuracy first"]
    assert table[0][-2:] == ["val_accuracy (max)", "parameters (min)"]
    assert {row[0] for row in table[1:]} == {Path(path).name for path in best}


def test_a_study_keeps_its_objectives(tmp_path):
    def opened(*objectives):
        space = {"x": Choice(("1", "2", "3"))}
        study = Study(space, "nsgaii", "none", 0, 1, objectives)
        study.open(f"sqlite:///{tmp_path / 'study.db'}", "two")
        return study

    study = opened(("val_accuracy", "max"), ("parameters", "min"))
    for values in ([0.5, 10.0], [0.6, 20.0], [0.4, 15.0], None):
        number, _ = study.ask("run")
        study.tell(number, values, pruned=False)
    assert [trial["trial"] for trial in study.front()] == [0, 1]
    assert study.front()[1]["values"] == {"val_accuracy": 0.6, "parameters": 20.0}
    with pytest.raises(DlrunError, match="maximize val_accuracy and minimize parameters, not to"):
        opened(("val_loss", "min"))


@pytest.mark.parametrize(
    ("objectives", "named"),
    [
        ("val_accuracy", "expected two or more"),
        ("val_accuracy,parameter", "did you mean parameters?"),
        ("val_accuracy,test_loss", "--objectives test_loss: expected one of"),
        ("val_accuracy:up,parameters", "expected val_accuracy, val_accuracy:min or"),
        ("parameters,parameters:max", "each objective may be named once"),
    ],
)
def test_wrong_objectives_are_refused(tmp_path, objectives, named):
    with pytest.raises(DlrunError) as raised:
        Search(Settings.of({"objectives": objectives}), SMALL, tmp_path / "none")
    assert named in f"{raised.value.message} {raised.value.hint}"


def test_what_needs_one_objective_is_refused(tmp_path):
    with pytest.raises(DlrunError, match="Optuna prunes by one objective"):
        search_options("optuna", False, objectives=GOALS, pruner="median")
    settings = search_options("optuna", False, objectives=GOALS, sampler="cmaes")
    with pytest.raises(DlrunError, match="CMA-ES takes one objective"):
        Search(Settings.of(settings), SMALL, tmp_path / "none")
