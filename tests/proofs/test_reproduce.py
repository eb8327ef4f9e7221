"""``dlrun reproduce``: real runs of experiments, and the table of their numbers."""

import json
from pathlib import Path

import pytest

from dlrun import __version__
from dlrun.proofs.reproduce import _CompletedRuns

CLAIM = """# @package _global_
# A number that can't be reached.
#   dlrun train experiment=unreachable
defaults:
  - override /model: mnist_mlp

smoke: true
reproduces:
  system: S0
  prints: accuracy 2
  metric: test.accuracy
  least: 2
  loops: [fit]
"""
LATER = """# @package _global_
# It starts from a run of tickets.
#   dlrun train experiment=later
defaults:
  - ticket_difficulty

epochs: 1
reproduces:
  least: 0
  loops: [fit]
  needs: earlier
"""
EARLIER = """# @package _global_
# The experiment that "later" starts from.
#   dlrun train experiment=earlier
defaults:
  - tickets

epochs: 1
reproduces:
  least: 0
  loops: [fit]
"""


def own_experiments(dlrun, **experiments):
    group = dlrun.cwd / "configs" / "experiment"
    group.mkdir(parents=True)
    for name, text in experiments.items():
        (group / f"{name}.yaml").write_text(text, encoding="utf-8")


@pytest.mark.slow
def test_the_table_has_the_results_and_completed_runs_are_reused(dlrun):
    command = ("reproduce", "linear_classifier", "--backends", "torch")
    first = dlrun.json(*command)
    assert first["not_reached"] == 0
    assert [(run["backend"], run["loop"]) for run in first["runs"]] == [
        ("torch", loop) for loop in ("fit", "train_step", "raw", "linear_tensors", "linear_module")
    ]
    table = (dlrun.cwd / "RESULTS.md").read_text(encoding="utf-8")
    for run in first["runs"]:
        assert dlrun.record(dlrun.path(run))["train"]["loss"] == run["value"]
        assert f"{run['value']:.4f} (" in table
    again = dlrun.json(*command)
    assert again["runs"] == first["runs"]


@pytest.mark.slow
def test_an_experiment_comes_after_the_one_it_needs(dlrun):
    own_experiments(dlrun, later=LATER, earlier=EARLIER)
    result = dlrun.json("reproduce", "later", "earlier", "--backend", "jax")
    assert [run["experiment"] for run in result["runs"]] == ["earlier", "later"]
    assert result["not_reached"] == 0
    record = dlrun.record(dlrun.path(result["runs"][-1]))
    assert "/earlier/" in record["init_from"]["run_dir"]


def test_a_missed_number_exits_1_and_is_bold(dlrun):
    own_experiments(dlrun, unreachable=CLAIM)
    done = dlrun("reproduce", "unreachable", "--backend", "jax", "--output", "table.md")
    assert done.returncode == 1
    assert "1 run, 1 did not reach their number: table.md" in done.stdout
    assert "| jax | **0." in (dlrun.cwd / "table.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["first_netwerk"], "no experiment 'first_netwerk'"),
        (["tickets", "--backend", "numpy"], "backend 'numpy' can't train"),
        (["tickets", "--backends", "jax,numpy"], "backend 'numpy' can't train"),
        (["tickets", "--backends", "numpy", "--backend", "jax"], "backend 'numpy' can't train"),
    ],
)
def test_unknown_names_are_reported_before_anything_runs(dlrun, arguments, message):
    done = dlrun.here("reproduce", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert not (dlrun.cwd / "RESULTS.md").exists()


def test_invalid_records_are_ignored(tmp_path: Path) -> None:
    partial = {"versions": {"dlrun": __version__}, "status": "completed"}
    complete = partial | {"backend": "jax", "loop": "fit"}
    texts = ["[]", "{", '{"versions": []}', '{"versions": null}', "[" * 9999, json.dumps(partial)]
    for number, text in enumerate([*texts, json.dumps(complete)]):
        path = tmp_path / "claim" / str(number) / "run.json"
        path.parent.mkdir(parents=True)
        path.write_text(text)
    result = _CompletedRuns(tmp_path).get("claim", "jax", "fit")
    assert result == {**complete, "run_dir": str(tmp_path / "claim" / str(len(texts)))}
