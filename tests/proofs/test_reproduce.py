"""``dlrun reproduce``: experiments run for real, their numbers in a table."""

import json
from pathlib import Path

import pytest

from dlrun import __version__
from dlrun.proofs.reproduce import _Done

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
# It is what later starts from.
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


def test_the_table_holds_what_the_runs_got_and_nothing_is_run_twice(dlrun):
    asked = ("reproduce", "linear_classifier", "--backend", "torch")
    first = dlrun.json(*asked)
    assert first["not_reached"] == 0
    assert [(run["backend"], run["loop"]) for run in first["runs"]] == [
        ("torch", loop) for loop in ("fit", "train_step", "raw", "linear_tensors", "linear_module")
    ]
    written = (dlrun.cwd / "RESULTS.md").read_text(encoding="utf-8")
    for run in first["runs"]:
        assert dlrun.record(dlrun.path(run))["train"]["loss"] == run["value"]
        assert f"{run['value']:.4f} (" in written
    again = dlrun.json(*asked)
    assert again["runs"] == first["runs"]


def test_what_starts_from_another_run_comes_after_it(dlrun):
    own_experiments(dlrun, later=LATER, earlier=EARLIER)
    result = dlrun.json("reproduce", "later", "earlier", "--backend", "jax")
    assert [run["experiment"] for run in result["runs"]] == ["earlier", "later"]
    assert result["not_reached"] == 0
    record = dlrun.record(dlrun.path(result["runs"][-1]))
    assert "/earlier/" in record["init_from"]["run_dir"]


def test_a_number_that_is_not_reached_ends_with_exit_1_and_stands_in_bold(dlrun):
    own_experiments(dlrun, unreachable=CLAIM)
    done = dlrun("reproduce", "unreachable", "--backend", "jax", "--output", "table.md")
    assert done.returncode == 1
    assert "1 run, 1 did not reach their number: table.md" in done.stdout
    assert "| jax | **0." in (dlrun.cwd / "table.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["first_netwerk"], "no experiment 'first_netwerk'"),
        (["tickets", "--backend", "numpy"], "backend 'numpy' can't train"),
    ],
)
def test_what_is_not_there_is_told_before_anything_runs(dlrun, arguments, told):
    done = dlrun("reproduce", *arguments)
    assert done.returncode == 2
    assert told in done.stderr
    assert not (dlrun.cwd / "RESULTS.md").exists()


def test_a_record_that_is_none_stands_for_no_run(tmp_path: Path) -> None:
    mine = {"versions": {"dlrun": __version__}, "status": "completed"}
    whole = mine | {"backend": "jax", "loop": "fit"}
    texts = ["[]", "{", '{"versions": []}', '{"versions": null}', "[" * 9999, json.dumps(mine)]
    for number, text in enumerate([*texts, json.dumps(whole)]):
        path = tmp_path / "claim" / str(number) / "run.json"
        path.parent.mkdir(parents=True)
        path.write_text(text)
    done = _Done(tmp_path).get("claim", "jax", "fit")
    assert done == {**whole, "run_dir": str(tmp_path / "claim" / str(len(texts)))}
