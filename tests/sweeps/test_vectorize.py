"""``dlrun sweep --vectorize`` trains runs in one program; each is as it is alone."""

import csv
import json
import os
import re
import signal
import subprocess

import numpy as np
import pytest

from conftest import COMMAND, eventually
from dlrun.checkpoints.format import PARTS, read_checkpoint
from dlrun.checkpoints.store import checkpoint_path, list_positions
from trainings import worker

MODULE = """
import random
import time
from pathlib import Path

import keras
import numpy as np
from dlrun.loops.step import Step


class Net(keras.Model):
    def __init__(self, input_shape, num_classes, units):
        super().__init__()
        self.flatten = keras.layers.Flatten()
        self.hidden = keras.layers.Dense(units, activation="relu")
        self.dropout = keras.layers.Dropout(0.5)
        self.outputs_layer = keras.layers.Dense(num_classes)
        self.build((None, *input_shape))

    def call(self, inputs):
        return self.outputs_layer(self.dropout(self.hidden(self.flatten(inputs))))


class Noise(Step):
    def batch(self, inputs, targets, seed):
        return inputs + keras.random.normal(keras.ops.shape(inputs), 0.0, 0.5, seed=seed), targets


class Draw(keras.callbacks.Callback):
    # From the generators of the process, which each run has for itself.
    def on_epoch_end(self, epoch, logs=None):
        rate = 0.001 * (1 + epoch + random.random() + np.random.rand())
        self.model.optimizer.learning_rate = rate


class Slow(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch and not Path("go").exists():
            time.sleep(0.5)
"""
TINY = ("loop=raw", "data.limit=400", "batch_size=96", "model.units=16", "epochs=3")
DROPOUT = ("model=mnist_mlp_dropout", *TINY)
CLOSE = {"rtol": 2e-5, "atol": 2e-6}


@pytest.fixture(autouse=True)
def module(tmp_path):
    (tmp_path / "my_parts.py").write_text(MODULE)


def rows(run):
    with (run / "metrics.csv").open(newline="") as file:
        return [
            {k: float(v) for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)
        ]


def arrays(run):
    at = list_positions(run / "checkpoints")[-1]
    saved = read_checkpoint(checkpoint_path(run / "checkpoints", at))
    return {(part, v.path): v.value for part in PARTS for v in getattr(saved, part)}


def assert_like_single_runs(dlrun, result, numbers=None):
    """Each run of a sweep has the numbers of the same run alone."""
    for number, run in enumerate(result["runs"]):
        if numbers is not None and number not in numbers:
            continue
        alone = worker("jax").train(dlrun.cwd, *run["overrides"])
        for name in ("epochs", "best_epoch", "stopped_by", "steps", "parameters"):
            assert run[name] == alone[name], name
        together, single = rows(dlrun.path(run)), rows(alone["path"])
        for left, right in zip(together, single, strict=True):
            assert left.keys() == right.keys()
            np.testing.assert_allclose(list(left.values()), list(right.values()), **CLOSE)
        values = list(run["test"].values()), list(alone["test"].values())
        np.testing.assert_allclose(*values, **CLOSE)
        saved = arrays(alone["path"])
        for name, value in arrays(dlrun.path(run)).items():
            np.testing.assert_allclose(value, saved[name], **CLOSE, err_msg=str(name))


def vectorized(dlrun, *overrides):
    return dlrun.json("sweep", "--vectorize", "--jobs", "1", *overrides)


def test_each_run_is_as_it_is_alone(dlrun):
    """Initial values, order of batches, dropout and early stopping are its own."""
    result = vectorized(
        *(dlrun, *DROPOUT, "epochs=8", "seed=1,2", "optimizer.learning_rate=0.001,0.02"),
        *("callbacks.early_stopping.min_delta=0.2", "callbacks.early_stopping.patience=1"),
    )
    assert len({run["epochs"] for run in result["runs"]}) > 1
    assert_like_single_runs(dlrun, result, numbers=(0, 3))  # of both seeds and both rates
    for number, run in enumerate(result["runs"]):
        assert dlrun.record(dlrun.path(run))["side_by_side"] == 4
        [line] = re.findall(r"INFO run +(.*)", (dlrun.path(run) / "dlrun.log").read_text())
        assert line.endswith(f"/{number}")  # and no line of another run
    # Each is a run like any other.
    first = result["runs"][0]
    again = dlrun.warm("jax", "evaluate", first["run_dir"])
    assert again["metrics"] == pytest.approx(first["test"], rel=1e-5)


KINDS = {
    "data on the device": ("loop.data_on_device=true", "task.class_weight=balanced", *DROPOUT),
    # On a CPU steps with convolutions are compiled one by one.
    "convolutions": (
        "model=small_convnet",
        "optimizer=sgd",
        "loop=raw",
        "data.limit=64",
        "epochs=1",
    ),
    "inputs and outputs": ("model=ticket_classifier", *TINY),
    "own model": ("model._target_=my_parts.Net", *TINY),
    "mixed precision": ("precision=mixed_bfloat16", "optimizer=sgd", *TINY),
    "by steps": ("max_steps=11", "validate_every=3", "callbacks.checkpoint.every=2", *DROPOUT),
    "augmentation": ("augmentation=flip", *TINY),
    "own callback": ("+callbacks.draw._target_=my_parts.Draw", *TINY),
    "schedule": ("optimizer=adamw", "schedule=cosine", *TINY),
}


@pytest.mark.slow
@pytest.mark.parametrize("overrides", KINDS.values(), ids=KINDS)
def test_all_kinds_of_runs(dlrun, overrides):
    result = vectorized(dlrun, *overrides, "seed=3,4")
    assert_like_single_runs(dlrun, result)


@pytest.mark.slow
def test_nothing_but_rounding_differs(dlrun):
    """Which Adam makes larger with each step in float32, but not to where float64 shows it."""
    words = ("--jobs", "1", *DROPOUT, "precision=float64", "seed=1,2", "epochs=6")
    together, single = (
        dlrun.json("sweep", *words, *more, "optimizer.learning_rate=0.01,0.003")
        for more in (["--vectorize"], [])
    )
    for left, right in zip(together["runs"], single["runs"], strict=True):
        saved = arrays(dlrun.path(right))
        for name, value in arrays(dlrun.path(left)).items():
            np.testing.assert_allclose(value, saved[name], rtol=1e-9, atol=1e-11, err_msg=str(name))


@pytest.mark.slow
def test_runs_that_compute_something_else_share_no_program(dlrun):
    """The noise of a step of one's own is a constant of each run's program."""
    result = vectorized(dlrun, *TINY, "loop.step._target_=my_parts.Noise", "seed=1,2")
    assert_like_single_runs(dlrun, result)
    rates = ("schedule=cosine", "optimizer.learning_rate=0.001,0.01")
    assert_like_single_runs(dlrun, vectorized(dlrun, *TINY, *rates))


@pytest.mark.slow
def test_a_run_that_fails_leaves_the_others(dlrun):
    done = dlrun(
        *("sweep", "--vectorize", "--jobs", "1", "--json", *DROPOUT, "seed=1,2"),
        "optimizer.learning_rate=0.001,1e30",
    )
    assert done.returncode == 1
    result = dlrun.parse(done.stdout)
    ends = [run["status"] for run in result["runs"]]
    assert ends == ["completed", "failed", "completed", "failed"]
    assert "the loss is nan" in result["runs"][1]["error"]
    assert_like_single_runs(dlrun, result, numbers=[0, 2])


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_sweep_is_completed(dlrun, number):
    """What was begun is resumed alone, and equals an uninterrupted run."""
    process = subprocess.Popen(
        [COMMAND, "sweep", "--vectorize", "--jobs", "1", *DROPOUT, "epochs=4", "seed=range(3)",
         "+callbacks.slow._target_=my_parts.Slow"],
        cwd=dlrun.cwd, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    eventually(lambda: len(list(dlrun.cwd.glob("runs/sweeps/*/*/checkpoints/epoch-*"))) >= 3)
    os.kill(process.pid, number)
    process.communicate(timeout=60)
    [sweep] = dlrun.cwd.glob("runs/sweeps/*")
    (dlrun.cwd / "go").touch()
    result = dlrun.json("sweep", "--resume", sweep, "--trust", "my_parts")
    assert [run["status"] for run in result["runs"]] == ["completed"] * 3
    assert json.loads((sweep / "sweep.json").read_text())["vectorize"] is True
    assert_like_single_runs(dlrun, result)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["backend=torch", "loop=raw"], "a run with backend=torch trains by itself"),
        (["loop=fit"], "a run with loop=fit trains by itself"),
        (["loop=raw", "loop.compile=eager"], "a run with loop.compile=eager trains by itself"),
        (["loop=raw", "profile=simple"], "a run with profile=simple trains by itself"),
        (["loop=raw", "--search", "optuna"], "it can't be used with a search"),
        (["loop=raw", "--launcher", "joblib"], "it can't be used with --launcher"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_runs_that_train_by_themselves_are_refused(dlrun, words, message):
    done = dlrun.here("sweep", "--vectorize", "seed=1,2", *words)
    assert done.returncode == 2
    assert message in done.stderr
    assert not (dlrun.cwd / "runs").exists()
