"""A run whose monitored value is not finite: in its first epoch, or in all of them."""

import math

import pytest

from trainings import BACKENDS, Refused, worker

MODULE = """
import keras

def net(input_shape, num_classes):
    inputs = keras.Input(input_shape)
    flat = keras.layers.Flatten()(inputs)
    return keras.Model(inputs, keras.layers.Dense(num_classes, kernel_initializer="zeros")(flat))

def rate_from_second_epoch():
    return lambda epoch, learning_rate: 0.01 if epoch else 0.0

# Infinite while all logits are 0, which they are until the second epoch.
def smallness(targets, logits):
    return -keras.ops.log(keras.ops.max(keras.ops.abs(logits), axis=-1))

def root(targets, logits):
    return keras.ops.sqrt(-1 - keras.ops.max(keras.ops.abs(logits), axis=-1))

def metric(function, name):
    return keras.metrics.MeanMetricWrapper({"smallness": smallness, "root": root}[function], name)
"""
OVERRIDES = (
    "data.limit=256", "epochs=6", "model._target_=my_watched.net", "~model.units", "task.mode=max",
    "+callbacks.rate={_target_: keras.callbacks.LearningRateScheduler,"
    " schedule: {_target_: my_watched.rate_from_second_epoch}}",
)  # fmt: skip


def watch(function: str) -> tuple[str, ...]:
    metric = f"+task.metrics.odd={{_target_: my_watched.metric, function: {function}}}"
    return (*OVERRIDES, metric, "task.monitor=val_odd")


@pytest.mark.parametrize(
    ("backend", "loop"), [("jax", "fit"), ("tensorflow", "raw"), ("torch", "train_step")]
)
def test_an_infinite_first_epoch_is_not_the_best_and_stops_nothing(tmp_path, backend, loop):
    (tmp_path / "my_watched.py").write_text(MODULE)
    result = worker(backend).train(tmp_path, *watch("smallness"), f"loop={loop}")
    values = [row["val_odd"] for row in result["rows"]]
    assert values[0] == math.inf
    assert values[1] == max(values[1:])  # the logits grow, so the second epoch is the best
    assert result["best_epoch"] == 2
    assert result["validation"]["odd"] == pytest.approx(values[1])
    assert (result["epochs"], result["stopped_by"]) == (4, "early_stopping")
    assert "WARNING val_odd is inf in epoch 1: such an epoch is never the best" in result["log"]
    assert result["log"].count("never the best") == 1


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_run_without_a_finite_epoch_fails_and_keeps_its_checkpoints(tmp_path, backend):
    (tmp_path / "my_watched.py").write_text(MODULE)
    with pytest.raises(Refused, match="val_odd is nan in epoch 1, and not finite in any") as caught:
        worker(backend).train(tmp_path, *watch("root"), "epochs=2")
    assert caught.value.exit_code == 1
    [record] = tmp_path.glob("runs/*/*/run.json")
    assert '"status": "failed"' in record.read_text()
    run = record.parent
    assert sorted(p.name for p in run.glob("checkpoints/epoch-*")) == ["epoch-0001", "epoch-0002"]
    trust = {"trusted": ["my_watched"]}
    with pytest.raises(Refused, match="has no best epoch") as caught:
        worker(backend).evaluate(tmp_path, run, **trust)
    assert caught.value.hint == "--checkpoint last"
    assert worker(backend).evaluate(tmp_path, run, which="last", **trust)["epoch"] == 2
