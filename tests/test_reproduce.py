"""``dlrun reproduce``: experiments run for real, their numbers in a table."""

import pytest

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


def test_the_table_holds_what_the_runs_got_and_nothing_is_run_twice(dlrun):
    asked = ("reproduce", "linear_classifier", "--backend", "jax", "--backend", "torch")
    first = dlrun.json(*asked)
    assert first["not_reached"] == 0
    assert [(run["backend"], run["loop"]) for run in first["runs"]] == [
        *(("jax", loop) for loop in ("fit", "train_step", "raw", "linear_value_and_grad")),
        *(("torch", loop) for loop in ("fit", "train_step", "raw")),
        *(("torch", loop) for loop in ("linear_tensors", "linear_module")),
    ]
    written = (dlrun.cwd / "RESULTS.md").read_text(encoding="utf-8")
    for run in first["runs"]:
        assert dlrun.record(dlrun.path(run))["train"]["loss"] == run["value"]
        assert f"{run['value']:.4f} (" in written
    again = dlrun.json(*asked)
    assert again["runs"] == first["runs"]


def test_what_starts_from_another_run_comes_after_it(dlrun):
    result = dlrun.json("reproduce", "ticket_difficulty", "tickets", "--backend", "jax")
    assert [run["experiment"] for run in result["runs"]] == ["tickets"] * 3 + [
        "ticket_difficulty"
    ] * 3
    assert result["not_reached"] == 0
    record = dlrun.record(dlrun.path(result["runs"][-1]))
    assert "/tickets/" in record["init_from"]["run_dir"]


def test_a_number_that_is_not_reached_ends_with_exit_1_and_stands_in_bold(dlrun):
    group = dlrun.cwd / "configs" / "experiment"
    group.mkdir(parents=True)
    (group / "unreachable.yaml").write_text(CLAIM, encoding="utf-8")
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
