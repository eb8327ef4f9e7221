"""On NumPy, a model's own losses and weights count in ``evaluate`` as on a backend that trains."""

import numpy as np
import pytest

from dlrun.checkpoints.format import read_checkpoint
from dlrun.data.mnist import mnist
from trainings import worker

MODULE = """
import keras

class Penalty(keras.layers.Layer):
    def build(self, shape):
        self.factor = self.add_weight(shape=(shape[-1],), initializer="ones")
        self.seen = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, x):
        self.add_loss(1e-3 * keras.ops.sum(self.factor**2))
        self.add_loss(1e-2 * keras.ops.mean(x**2))
        return x * self.factor

    def compute_output_shape(self, shape):
        return shape

def penalized(input_shape, num_classes):
    inputs = keras.Input(input_shape)
    hidden = Penalty()(keras.layers.Flatten()(inputs))
    l2 = keras.regularizers.L2(1e-2)
    return keras.Model(inputs, keras.layers.Dense(num_classes, kernel_regularizer=l2)(hidden))

class Own(keras.Model):
    def __init__(self, input_shape, num_classes):
        super().__init__()
        self.flat, self.logits = keras.layers.Flatten(), keras.layers.Dense(num_classes)
        self.scale = self.add_weight(shape=(), initializer="ones")

    def call(self, x):
        return self.logits(self.flat(x)) * self.scale
"""
SAMPLES = 128  # one batch, as the mean of its inputs is part of the loss


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    shifted = logits - logits.max(axis=1, keepdims=True)
    chosen = shifted[np.arange(len(labels)), labels]
    return float(np.mean(np.log(np.exp(shifted).sum(axis=1)) - chosen))


def test_losses_of_layers_and_regularizers_are_added(tmp_path):
    (tmp_path / "my_losses.py").write_text(MODULE)
    test = mnist(limit=SAMPLES).test
    x, labels = test.inputs.reshape(SAMPLES, -1) / np.float64(255), test.labels
    for model in ("penalized", "Own"):
        overrides = (f"model._target_=my_losses.{model}", "~model.units", f"data.limit={SAMPLES}")
        run = worker("torch").train(tmp_path, *overrides, "epochs=1")
        saved = read_checkpoint(run["path"] / "checkpoints/epoch-0001").model
        values = {v.path.rpartition("/")[2]: v.value.astype(np.float64) for v in saved}
        if model == "penalized":
            factor = next(v for v in values.values() if v.shape == (784,))
            expected = cross_entropy(x * factor @ values["kernel"] + values["bias"], labels)
            expected += 1e-3 * np.sum(factor**2) + 1e-2 * np.mean(x**2)
            expected += 1e-2 * np.sum(values["kernel"] ** 2)
        else:
            scale = next(v for v in values.values() if v.shape == ())
            expected = cross_entropy((x @ values["kernel"] + values["bias"]) * scale, labels)
        trusted = {"trusted": ["my_losses"]}
        for backend in ("numpy", "torch"):
            found = worker(backend).evaluate(tmp_path, run["path"], **trusted)["metrics"]
            assert found["loss"] == pytest.approx(expected, rel=1e-5)
        assert found["accuracy"] == pytest.approx(run["test"]["accuracy"])
