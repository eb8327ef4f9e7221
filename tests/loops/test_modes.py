"""Every training mode with every kind of model on every backend: all learn and agree."""

import functools
from itertools import product

import pytest

from conftest import slow
from trainings import BACKENDS, worker

MODELS = ("mnist_mlp", "mnist_mlp_dropout", "own_mlp")  # Sequential, Functional, subclassed
MODES = ("train_step", "train_step_own_loss", "raw")

OWN_MLP = """
import keras
from dlrun.models.mnist_subclassed import OwnDense, OwnDropout

class OwnMlp(keras.Model):
    def __init__(self, input_shape, num_classes):
        super().__init__(name="own_mlp")
        self.flatten = keras.layers.Flatten()
        self.hidden = OwnDense(256)
        self.dropout = OwnDropout(0.3)
        self.logits = OwnDense(num_classes, dtype="float32")

    def call(self, inputs, training=False):
        x = keras.ops.relu(self.hidden(self.flatten(inputs)))
        return self.logits(self.dropout(x, training=training))
"""


@pytest.fixture(scope="module")
def train(tmp_path_factory):
    """The epochs of one training, cached."""
    place = tmp_path_factory.mktemp("modes")
    (place / "my_models.py").write_text(OWN_MLP)
    (place / "configs" / "model").mkdir(parents=True)
    (place / "configs" / "model" / "own_mlp.yaml").write_text("_target_: my_models.OwnMlp\n")

    @functools.cache
    def train(backend, model, loop):
        # On tensorflow, fit compiles to a graph without XLA; compile raw in the same way.
        compile = ["loop.compile=graph"] if (backend, loop) == ("tensorflow", "raw") else []
        return worker(backend).train(
            place, f"model={model}", f"loop={loop}", "epochs=2", "data.limit=2000", *compile
        )["rows"]

    return train


# Each backend, kind of model and mode once; the others are left to `pytest -m slow`.
ONCE = (
    ("jax", "mnist_mlp_dropout", "raw"),
    ("tensorflow", "own_mlp", "train_step"),
    ("torch", "mnist_mlp", "train_step_own_loss"),
)
EACH = [case if case in ONCE else slow(*case) for case in product(BACKENDS, MODELS, MODES)]


@pytest.mark.parametrize(("backend", "model", "loop"), EACH)
def test_every_mode_learns_and_gives_the_losses_of_fit(train, backend, model, loop):
    first, last = train(backend, model, "fit")
    assert last["loss"] < 0.7 * first["loss"]
    assert last["val_loss"] < first["val_loss"]
    assert last["val_accuracy"] > 0.8
    for row, expected in zip(train(backend, model, loop), (first, last), strict=True):
        for name in ("loss", "val_loss"):
            assert row[name] == pytest.approx(expected[name], rel=1e-6)


TOLD = """
import keras
from dlrun.data.dataset import Dataset, Split
import numpy as np

class Tells(keras.layers.Layer):
    def call(self, x, training=False):
        return x + (1000.0 if training else 0.0)

class Net(keras.Model):
    def __init__(self, input_shape, num_classes):
        super().__init__()
        self.inner = keras.Sequential([Tells()])
        self.zero = keras.layers.Dense(1, trainable=False, kernel_initializer="zeros")

    def call(self, x):  # as most subclassed models: their layers know whether they train
        return self.inner(self.zero(x))

def data(limit=None):
    split = Split(np.zeros((8, 2), "float32"), np.zeros(8, "float32"))
    return Dataset(split, split, split, num_classes=1)
"""


@pytest.mark.trains
@pytest.mark.parametrize("backend", BACKENDS)
def test_fit_tells_the_layers_of_a_subclassed_model_that_they_train(tmp_path, backend):
    (tmp_path / "my_net.py").write_text(TOLD)
    mine = ("model._target_=my_net.Net", "~model.units", "data._target_=my_net.data")
    words = ("~data.validation_samples", "task=regression", "epochs=1")
    [row] = worker(backend).train(tmp_path, *mine, *words)["rows"]
    assert (row["loss"], row["val_loss"]) == (1000.0**2, 0.0)


COUNTING = """
import keras

class Count(keras.layers.Layer):  # keeps something of each batch, as a state or a running sum does
    def build(self, shape):
        self.seen = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, x):
        self.seen.assign(self.seen + 1.0)
        return x

class Net(keras.Sequential):
    def __init__(self, input_shape, num_classes):
        layers = [keras.Input(input_shape), keras.layers.Flatten(), Count(name="count")]
        super().__init__([*layers, keras.layers.Dense(num_classes, dtype="float32")])
        self.steps = self.add_weight(name="steps", shape=(), initializer="zeros", trainable=False)

    def compute_loss(self, *args, training=True, **keywords):  # one that is warmed up
        if training:
            self.steps.assign(self.steps + 1.0)
        loss = super().compute_loss(*args, training=training, **keywords)
        return 0 * loss + self.steps + 100 * self.get_layer("count").seen
"""


@pytest.mark.trains
@pytest.mark.parametrize("backend", BACKENDS)
def test_what_a_model_keeps_of_each_batch_counts_every_one_once_in_each_loop(tmp_path, backend):
    (tmp_path / "counting.py").write_text(COUNTING)
    mine = ("model._target_=counting.Net", "~model.units", "data.limit=384", "batch_size=128")
    words = (*mine, "data.validation_samples=128", "epochs=2")
    for loop in ("fit", "train_step", "raw"):
        rows = worker(backend).train(tmp_path, *words, f"loop={loop}")["rows"]
        # Of the batches 1 to 3, and 5 to 7; the fourth and the eighth are of the validation.
        assert [row["loss"] for row in rows] == [2 + 200, 5 + 600]
        assert [row["val_loss"] for row in rows] == [3 + 400, 6 + 800]
