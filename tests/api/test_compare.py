"""dlrun compare: how runs differ, as tables, as JSON and as a plot."""

import json
import os
import re

import pytest
import yaml

from dlrun.report.compare import draw

CONFIG = {
    "choices": {"optimizer": "adam"},
    "epochs": 3,
    "optimizer": {"_target_": "keras.optimizers.Adam", "learning_rate": 0.001},
}
CURVES = "epoch,seconds,learning_rate,loss,val_loss\n1,0.1,0.01,0.9,0.8\n2,0.1,0.01,0.5,0.6\n"


def make(path, *, loss=0.5, config=None, curves=CURVES, **record):
    """A run directory as dlrun writes it."""
    path.mkdir(parents=True)
    defaults = {
        "status": "completed",
        "overrides": ["epochs=3"],
        "versions": {"dlrun": "0.1.0", "jax": "0.10.2"},
        "epochs": 3,
        "test": {"loss": loss, "accuracy": 0.9},
        "seconds": {"total": 3.25},
    }
    (path / "run.json").write_text(json.dumps(defaults | record))
    (path / "config.yaml").write_text(yaml.safe_dump(CONFIG | (config or {})))
    if curves is not None:
        (path / "metrics.csv").write_text(curves)
    return path


@pytest.fixture
def home(dlrun):
    """Two runs that differ in optimizer and result."""
    made = "runs/mlp/2026-11-21_10-04-3"
    sgd = {"_target_": "keras.optimizers.SGD", "learning_rate": 0.1}
    make(dlrun.cwd / f"{made}1_aaaa")
    make(
        dlrun.cwd / f"{made}2_bbbb",
        loss=0.25,
        config={"choices": {"optimizer": "sgd"}, "optimizer": sgd},
        overrides=["epochs=3", "optimizer=sgd"],
        versions={"dlrun": "0.1.0", "jax": "0.10.3"},
    )
    return dlrun.cwd / "runs"


def test_throughput_is_shown_in_whole_examples(dlrun):
    make(dlrun.cwd / "runs/a", examples_per_second=4643.54)
    make(dlrun.cwd / "runs/b", examples_per_second=952.101)
    lines = dlrun.here("compare", "a", "b").stdout.splitlines()
    assert ["examples_per_second", "4,644", "952"] in [line.split() for line in lines]


def test_differences_are_shown_by_key_with_a_column_for_each_run(dlrun, home):
    done = dlrun.here("compare", "aaaa", "bbbb")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["aaaa", "bbbb"],
        ["config"],
        ["choices.optimizer", "adam", "sgd"],
        ["optimizer._target_", "Adam", "SGD"],
        ["optimizer.learning_rate", "0.001", "0.1"],
        ["result"],
        ["test.loss", "0.5000", "0.2500", "*"],
        ["environment"],
        ["versions.jax", "0.10.2", "0.10.3"],
        [],
        ["*", "the", "best"],
    ]
    every = dlrun.here("compare", "aaaa", "bbbb", "--all").stdout
    assert re.search(r"epochs +3 +3\n", every)
    assert re.search(r"test.accuracy +0.9000 +0.9000\n", every)


def test_json_has_the_values_of_each_key_in_the_order_of_the_runs(dlrun, home):
    result = dlrun.json_here("compare", "latest", "mlp/aaaa")
    assert [run["run"] for run in result["runs"]] == ["bbbb", "aaaa"]
    assert result["config"]["optimizer.learning_rate"] == [0.1, 0.001]
    assert result["result"] == {"test.loss": [0.25, 0.5]}
    assert result["best"] == {"test.loss": [0]}


def test_close_values_are_shown_with_the_digits_that_differ(dlrun):
    make(dlrun.cwd / "a", loss=0.12345678)
    make(dlrun.cwd / "b", loss=0.12345679)
    shown = dlrun.here("compare", "a", "b").stdout
    assert "0.123456780  0.123456790 *" not in shown  # the smaller loss is better
    assert "0.123456780 *  0.123456790" in shown


def test_equal_runs_are_reported_as_equal(dlrun):
    paths = [make(dlrun.cwd / name) for name in "ab"]
    assert dlrun.here("compare", *paths).stdout == "nothing differs between a and b\n"


def test_many_runs_are_shown_in_blocks_of_80_columns(dlrun):
    paths = [make(dlrun.cwd / f"sweep/{n}", loss=n, host="long" * 20 + str(n)) for n in range(12)]
    shown = dlrun.here("compare", *paths).stdout
    assert max(map(len, shown.splitlines())) <= 80
    losses = re.findall(r"test.loss +(.*)", shown)
    assert len(losses) > 1
    figures = " ".join(losses).replace("*", "").split()
    assert [float(figure) for figure in figures] == list(range(12))


def test_a_killed_run_can_be_compared(dlrun, home):
    make(dlrun.cwd / "runs/mlp/dead", status="running", test={})
    result = dlrun.json_here("compare", "dead", "aaaa")["result"]
    assert result["status"] == ["killed", "completed"]
    assert result["epochs"] == [2, 3]
    assert result["test.loss"] == [None, 0.5]


def test_one_run_of_a_sweep_suggests_the_sweep(dlrun, home):
    make(dlrun.cwd / "runs/sweeps/many/0")
    (dlrun.cwd / "runs/sweeps/many/sweep.json").write_text("{}")
    assert "hint: its sweep: dlrun compare runs/sweeps/many" in dlrun("compare", "many/0").stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["aaaa"], "expected at least two different runs"),
        (["aaaa", "mlp/aaaa"], "expected at least two different runs"),
        (["aaaa", "cccc"], "no run directory at cccc"),
        (["aaaa", "bbbb", "--plot", "curves.txt"], "expected a name that ends in .png, .svg, .pdf"),
    ],
    ids=" ".join,
)
def test_invalid_comparisons_are_refused(dlrun, home, words, message):
    done = dlrun.here("compare", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


def test_one_plot_has_the_curves_of_all_runs(dlrun, home):
    # Names that matplotlib would read as a formula, and more runs than the palette has colours.
    words = [f"model.name=$x_{{{n}$" for n in range(22)]
    more = [make(home / f"mlp/{n}", overrides=[word]) for n, word in enumerate(words)]
    make(home / "mlp/none", curves=None)
    done = dlrun.here("compare", "aaaa", "none", *more, "--plot", "plots/curves.svg")
    assert done.returncode == 0, done.stderr
    assert "none has no curves: no metrics.csv" in done.stderr
    svg = (dlrun.cwd / "plots/curves.svg").read_text()
    labels = {text.strip() for text in re.findall("<!--(.*?)-->", svg)}
    assert labels >= {"loss", "train", "validation", "aaaa  epochs=3", "21  model.name=$x_{21$"}
    assert "seconds" not in labels


def test_of_one_epoch_the_marks_tell_training_from_validation():
    from matplotlib.colors import to_rgba

    curves = [{name: [(1.0, value)] for name in ("loss", "val_loss")} for value in (0.5, 0.7)]
    picture = draw(["one", "two"], curves)
    picture.canvas.draw()
    [axes] = [axes for axes in picture.axes if axes.get_visible()]
    faces = [to_rgba(line.get_markerfacecolor()) for line in axes.lines]
    assert [face == to_rgba("white") for face in faces] == [False, True] * 2
    assert len({line.get_color() for line in axes.lines}) == 2
    assert all(line.get_marker() == "o" for line in axes.lines)
    low, high = axes.get_xlim()
    assert [tick for tick in axes.get_xticks() if low <= tick <= high] == [1]
    [_, kinds] = picture.legends
    assert [line.get_markerfacecolor() == "white" for line in kinds.get_lines()] == [False, True]


def test_a_plot_without_curves_is_refused(dlrun, home):
    make(home / "mlp/one", curves=None)
    make(home / "mlp/two", curves=None)
    done = dlrun.here("compare", "one", "two", "--plot", "curves.png")
    assert (done.returncode, done.stdout) == (2, "")
    assert "none of the runs has a curve" in done.stderr
    assert not (dlrun.cwd / "curves.png").exists()
    # Of a run of before there were steps.
    done = dlrun.here("compare", "one", "aaaa", "--plot", "curves.png", "--by", "step")
    assert "aaaa has no curves: its metrics.csv has no curve by step" in done.stderr
    assert "hint: --by epoch" in done.stderr
    (home / "mlp/one/metrics.csv").write_text("what,ever\n1,2\n")
    done = dlrun.here("compare", "one", "aaaa", "--plot", "curves.png")
    assert "one has no curves: its metrics.csv has no curve by epoch" in done.stderr


def test_untrusted_files_are_read_with_care(dlrun, home):
    hostile = {"test": {"loss": float("nan"), "\x1b[2J": "\x07"}, "device": "\x1b]0;x\x07"}
    make(home / "mlp/hostile", **hostile, curves="epoch,loss\n1\nx,y,z\n1e999,nan\n2,0.5\n")
    done = dlrun.here("compare", "aaaa", "hostile", "--all", "--plot", "curves.png")
    assert done.returncode == 0, done.stderr
    assert done.stdout.replace("\n", "").isprintable()
    assert dlrun.json_here("compare", "aaaa", "hostile")["result"]["test.loss"] == [0.5, None]
    (home / "mlp/hostile/metrics.csv").unlink()
    os.mkfifo(home / "mlp/hostile/metrics.csv")
    assert "is neither a file nor a directory" in dlrun.here("compare", "aaaa", "hostile").stderr


def test_trained_runs_are_listed_and_compared(dlrun, trained):
    runs = [trained.copy(backend, dlrun.cwd) for backend in ("jax", "torch")]
    compared = dlrun.json("compare", *runs, "--plot", "curves.png")
    assert compared["config"]["backend.name"] == ["jax", "torch"]
    losses = compared["result"]["test.loss"]
    assert losses == [trained.result(backend)["test"]["loss"] for backend in ("jax", "torch")]
    assert {"versions.jax", "versions.torch"} <= set(compared["environment"])
    assert (dlrun.cwd / "curves.png").read_bytes().startswith(b"\x89PNG")
    done, imported = dlrun.traced("compare", *runs)
    assert not imported & {"keras", "jax", "torch", "hydra", "omegaconf", "matplotlib"}
    assert max(map(len, done.stdout.splitlines())) <= 80

    # A record has the whole config, so keys that were not typed can be queried too.
    config = yaml.safe_load((runs[0] / "config.yaml").read_text())
    assert dlrun.record(runs[0])["config"] == config
    query = ["--where", "optimizer.learning_rate=1e-3", "--where", "backend=torch"]
    [run] = dlrun.json_here("runs", *query, "--sort", "val_loss")["runs"]
    assert run["run_dir"] == str(runs[1].relative_to(dlrun.cwd))


def test_a_null_metric_is_compared_but_never_the_best(dlrun):
    make(dlrun.cwd / "runs/a/one", loss=None)
    make(dlrun.cwd / "runs/a/two", loss=0.4)
    assert dlrun.json_here("compare", "one", "two")["result"]["test.loss"] == [None, 0.4]
    done = dlrun.here("compare", "one", "two")
    assert (done.returncode, done.stderr) == (0, "")
