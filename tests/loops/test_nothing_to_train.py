"""A model with nothing to train is evaluated epoch by epoch, in every loop on every backend."""

import pytest

from conftest import slow_on
from trainings import worker

MODULE = """
import keras

def frozen(input_shape, num_classes):
    inputs = keras.Input(input_shape)
    logits = keras.layers.Dense(num_classes, "tanh")(keras.layers.Flatten()(inputs))
    model = keras.Model(inputs, logits)
    model.trainable = False
    return model

def without_weights(input_shape, num_classes):
    inputs = keras.Input(input_shape)
    return keras.Model(inputs, keras.layers.Flatten()(inputs)[:, :num_classes])
"""


@pytest.mark.parametrize("backend", slow_on("tensorflow"))
def test_nothing_to_train(tmp_path, backend):
    (tmp_path / "my_frozen.py").write_text(MODULE)
    overrides = ("~model.units", "data.limit=96", "batch_size=32", "epochs=2")
    torch = backend == "torch"  # the one that refuses to derive by nothing
    for model in ("frozen", "without_weights") if torch else ("frozen",):
        target = f"model._target_=my_frozen.{model}"
        runs = [
            worker(backend).train(tmp_path, target, *overrides, f"loop={loop}")
            for loop in (("fit", "train_step", "raw") if torch else ("fit", "raw"))
        ]
        for run in runs:
            assert run["test"] == pytest.approx(runs[0]["test"], rel=1e-6)
            first, second = (row["loss"] for row in run["rows"])
            assert second == pytest.approx(first, rel=1e-6)
