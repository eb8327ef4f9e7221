"""The weights of classes that a run recorded, on a file that it is evaluated on."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from conftest import Dlrun
from trainings import worker

CLASSES = 4


@pytest.fixture(scope="module")
def weighted(tmp_path_factory):
    """A run with balanced classes, none of whose samples has class 2; ``o.npz`` has all four."""
    dlrun = Dlrun(tmp_path_factory.mktemp("weighted"))
    draw = np.random.default_rng(0)
    x = draw.normal(size=(80, 6)).astype("float32")
    y = draw.choice([0, 0, 0, 1, 3], 80)
    np.savez(dlrun.cwd / "mine.npz", x_train=x[:60], y_train=y[:60], x_test=x[60:], y_test=y[60:])
    x, y = draw.normal(size=(20, 6)).astype("float32"), np.arange(20) % CLASSES
    np.savez(dlrun.cwd / "o.npz", x=x, y=y)
    np.savez(dlrun.cwd / "later.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    options = ("data.path=mine.npz", f"data.num_classes={CLASSES}", "data.scale=1")
    task = ("task.class_weight=balanced", "epochs=1", "batch_size=20")
    result = dlrun.warm("jax", "train", "data=npz", *options, "data.validation_samples=10", *task)
    return dlrun, dlrun.path(result), y


def losses(dlrun, run, y):
    """The loss of each sample, from its predictions."""
    worker("jax").predict(dlrun.cwd, run, "out.npz", "o.npz")
    with np.load(dlrun.cwd / "out.npz") as arrays:
        return -np.log(arrays["predictions"][np.arange(len(y)), y])


@pytest.mark.trains
def test_a_class_without_a_recorded_weight_counts_1_and_is_named(weighted):
    dlrun, run, y = weighted
    recorded = dlrun.record(run)["class_weight"]
    assert set(recorded) == {"0", "1", "3"}
    result = dlrun.warm("jax", "evaluate", run, "--data", "o.npz")
    note = "--data o.npz: class 2 has no weight in task.class_weight, and counts 1"
    assert result["notes"] == [note]
    weights = np.array([recorded.get(str(number), 1.0) for number in y])
    expected = (weights * losses(dlrun, run, y)).mean()
    assert result["metrics"]["loss"] == pytest.approx(expected, rel=1e-5)
    done = dlrun.within("jax", "evaluate", run, "data.path=later.npz", "--json")
    assert "data: class 2 has no weight in task.class_weight, and counts 1" in done.stderr
    assert dlrun.parse(done.stdout)["metrics"]["loss"] == pytest.approx(expected, rel=1e-5)
    dlrun.warm("jax", "predict", run, "data.path=later.npz", "--output", "later_out.npz")


@pytest.mark.trains
def test_nothing_is_balanced_by_the_file_that_is_evaluated(weighted):
    dlrun, run, y = weighted
    path = run / "run.json"
    before = path.read_text(encoding="utf-8")
    path.write_text(json.dumps({**json.loads(before), "class_weight": None}), encoding="utf-8")
    try:
        done = dlrun.within("jax", "evaluate", run, "--data", "o.npz", "--json")
        expected = losses(dlrun, run, y).mean()
    finally:
        path.write_text(before, encoding="utf-8")
    result = dlrun.parse(done.stdout)
    [note] = result["notes"]
    assert note.startswith("task.class_weight=balanced: the run has recorded no weights")
    assert done.stderr.count(note) == 1
    assert result["metrics"]["loss"] == pytest.approx(expected, rel=1e-5)


def test_splits_that_are_one_object_are_weighed_once():
    script = """
import keras, numpy as np
from dlrun.assembly.compile import compile_model
from dlrun.assembly.weights import weigh
from dlrun.config.compose import compose
from dlrun.data.dataset import Dataset, Split
one, other = (Split(np.zeros((n, 2), "float32"), np.arange(n) % 2) for n in (4, 6))
model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
config = compose(["task.class_weight={0: 1, 1: 3}"])
data = Dataset(one, one, one, num_classes=2)
compile_model(model, config, data.spec, length=None)
same = weigh(model, data, config)
assert same.train is same.validation is same.test
differ = weigh(model, Dataset(one, other, one, num_classes=2), config)
assert differ.train is differ.test
assert differ.validation.weights.tolist() == [1, 3, 1, 3, 1, 3]
"""
    environment = {**os.environ, "KERAS_BACKEND": "numpy"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
