"""The choice of the best epoch."""

import math

import pytest

from trainings import worker

SCRIPT = """
from dlrun.callbacks.checkpoint import Checkpoint

checkpoint = Checkpoint("unused", "val_loss", {mode!r})
checkpoint._save = lambda at, within: None
for epoch, value in enumerate({values!r}):
    checkpoint.on_epoch_end(epoch, {{"val_loss": float(value)}})
found["best"] = checkpoint.get_best_epoch()
"""

WATCHING = """
import types
import keras
from dlrun.callbacks.monitor import watch_finite

for name, class_ in (
    ("early", keras.callbacks.EarlyStopping), ("plateau", keras.callbacks.ReduceLROnPlateau)
):
    callback = watch_finite(class_("val_loss", mode={mode!r}, patience=2))
    optimizer = keras.optimizers.SGD(1.0)
    callback.set_model(types.SimpleNamespace(optimizer=optimizer, stop_training=False))
    callback.on_train_begin()
    ran = 0
    for epoch, value in enumerate({values!r}):
        callback.on_epoch_end(epoch, {{"val_loss": float(value)}})
        if name == "early" and callback.model.stop_training:
            break
        ran += 1
    found[name] = [ran, float(keras.ops.convert_to_numpy(optimizer.learning_rate)), callback.best]
"""


@pytest.mark.parametrize(
    ("mode", "values", "best"),
    [
        ("min", (0.5, 0.3, 0.4), 2),
        ("min", (math.nan, 0.5, 0.6), 2),
        ("min", (math.inf, 0.5, math.nan), 2),
        ("min", (0.5, -math.inf), 1),
        ("max", (0.5, math.inf, 0.6), 3),
        ("max", (math.inf, 0.5), 2),
        ("max", (math.nan, math.inf), None),
    ],
)
def test_a_non_finite_value_is_never_the_best(tmp_path, mode, values, best):
    script = SCRIPT.format(mode=mode, values=[str(value) for value in values])
    assert worker("torch").run(tmp_path, script) == {"best": best}


@pytest.mark.parametrize(
    ("mode", "values", "ran", "rate"),
    [
        # Each improves on the last, so nothing stops and no rate is cut.
        ("min", (math.nan, 0.5, 0.4, 0.3, 0.2), 5, 1.0),
        ("max", (math.inf, 0.1, 0.2, 0.3, 0.4), 5, 1.0),
        ("min", (-math.inf, 0.4, 0.3, 0.2, 0.1), 5, 1.0),
        # Two epochs are no better than the best, 0.5, be they finite or not.
        ("min", (0.5, math.nan, -math.inf, 0.6), 2, 0.1),
        ("max", (math.nan, 0.5, math.inf, 0.4), 3, 0.1),
    ],
)
def test_keras_callbacks_watch_finite_values_only(tmp_path, mode, values, ran, rate):
    script = WATCHING.format(mode=mode, values=[str(value) for value in values])
    found = worker("torch").run(tmp_path, script)
    finite = [v for v in values if math.isfinite(v)]
    best = {"min": min, "max": max}[mode](finite)
    assert found["early"][0] == ran
    assert found["plateau"][1:] == [pytest.approx(rate), best]
