"""Reusing state between runs of one process does not change a bit of their results."""

import json
import sys

import pytest

# Counts traces: tracing a model calls its layers.
MODULE = """
import functools

import keras
from keras import layers

calls = []
call = layers.Dense.call


@functools.wraps(call)
def counted(self, *arguments, **options):
    calls.append(self.name)
    return call(self, *arguments, **options)


layers.Dense.call = counted


def net(input_shape, num_classes, *, slope):
    inputs = keras.Input(input_shape)
    x = layers.LeakyReLU(slope)(layers.Dense(16)(layers.Flatten()(inputs)))
    x = layers.BatchNormalization()(x) + keras.ops.sin(x)
    x = layers.Dropout(0.3, seed=7)(layers.Dropout(0.3)(x))
    return keras.Model(inputs, layers.Dense(num_classes)(x))


def times(x):
    return x * Doubled.factor


def with_own_function(input_shape, num_classes):
    Doubled.factor += 1.0  # no config tells
    dense = layers.Dense(8, activation=times)
    return keras.Sequential(
        [keras.Input(input_shape), layers.Flatten(), dense, layers.Dense(num_classes)]
    )


class Doubled(layers.Dense):
    factor = 1.0

    def call(self, inputs):
        return super().call(inputs) * self.factor


def with_own_layer(input_shape, num_classes):
    Doubled.factor += 1.0
    return keras.Sequential(
        [keras.Input(input_shape), layers.Flatten(), Doubled(8), layers.Dense(num_classes)]
    )


class Freezes(keras.callbacks.Callback):
    def on_train_end(self, logs=None):
        self.model.layers[-1].trainable = False
        self.model.optimizer.beta_1 = 0.0
"""
# Trains all runs in one process with a cache, then repeats them without.
SCRIPT = """
import json, sys, tempfile
from pathlib import Path
import my_parts
from dlrun import backends
from dlrun.errors import DlrunError
from dlrun.api.train import train
from dlrun.checkpoints.format import PARTS, read_checkpoint
from dlrun.checkpoints.store import checkpoint_path, list_positions
from dlrun.training.reuse import ProcessCache

def saved_state(path):
    at = list_positions(path / "checkpoints")[-1]
    saved = read_checkpoint(checkpoint_path(path / "checkpoints", at))
    arrays = [v.value.tobytes() for part in PARTS for v in getattr(saved, part)]
    return arrays, saved.state["history"]

def run(typed, cache):
    path = Path(tempfile.mkdtemp()) / "run"
    before = len(my_parts.calls)
    try:
        result = train(typed, path=path, cache=cache, quiet=True).to_dict()
    except DlrunError as error:
        return error.message, 0
    metrics = [result[key] for key in ("train", "validation", "test", "best_epoch", "stopped_by")]
    return (saved_state(path), metrics), len(my_parts.calls) - before

runs, cache = json.loads(sys.argv[1]), ProcessCache()
cached, equal = [], []
for typed, _ in runs:
    cached.append(run(typed, cache))
    cache.forget()
my_parts.Doubled.factor = 1.0
for (result, _), (typed, again) in zip(cached, runs):
    if again:
        equal.append(result == run(typed, None)[0])
        backends.forget()
failed = [result for result, _ in cached if isinstance(result, str)]
calls = [n for _, n in cached]
print(json.dumps({"equal": equal, "calls": calls, "failed": failed}))
"""
NET = ("model._target_=my_parts.net", "+model.slope=0.1")
SMALL = ("data.limit=256", "batch_size=64", "epochs=1", "~model.units")
OWN_FUNCTION = ("model._target_=my_parts.with_own_function",)
OWN_LAYER = ("model._target_=my_parts.with_own_layer",)
# Each run: its overrides; whether it reuses the code compiled for the previous run; whether it is
# repeated without the cache and compared.
EMA = (*NET, "+optimizer.use_ema=true", "+callbacks=swap_ema_weights")
OWN_LOSS = (*NET, "loop=train_step_own_loss")
RAW = (*NET, "loop=raw")
RISING = f"{{{', '.join(f'{number}: {number}' for number in range(10))}}}"
RUNS = (
    ((*NET, "seed=1"), False, False),
    ((*NET, "seed=2"), True, True),
    ((*NET, "optimizer.learning_rate=0.1", "epochs=3"), True, True),
    ((NET[0], "+model.slope=0.3"), False, True),
    (RAW, False, False),
    ((*RAW, "optimizer.learning_rate=0.01"), True, True),
    ((*RAW, "optimizer.learning_rate=1e30"), True, False),
    (RAW, False, True),  # a failed run keeps nothing
    (EMA, False, False),
    ((*EMA, "seed=3"), True, True),
    ((*RAW, "task.class_weight=balanced"), False, False),  # its steps take weights
    ((*RAW, f"task.class_weight={RISING}"), True, True),
    (OWN_LOSS, False, False),
    ((*OWN_LOSS, "seed=2"), False, True),  # its tracker is an extra metric of the model
    ((*NET, "+callbacks.own._target_=my_parts.Freezes"), False, False),
    (NET, False, True),  # nor does a run with a user's callback
    (OWN_LAYER, False, True),
    (OWN_LAYER, False, True),
    (OWN_FUNCTION, False, True),
    (OWN_FUNCTION, False, True),
)


FIRST = (*RUNS[:2], *RUNS[3:8])  # up to the run that fails, and the one after it


@pytest.mark.parametrize(
    ("backend", "chosen"),
    [
        pytest.param("jax", FIRST, id="jax"),
        pytest.param("jax", RUNS, marks=pytest.mark.slow, id="jax-all"),
        pytest.param("tensorflow", RUNS, marks=pytest.mark.slow, id="tensorflow-all"),
    ],
)
def test_compiled_code_is_reused_if_only_values_differ(dlrun, backend, chosen):
    (dlrun.cwd / "my_parts.py").write_text(MODULE)
    runs = [([f"backend={backend}", *SMALL, *typed], again) for typed, _, again in chosen]
    done = dlrun(
        json.dumps(runs), command=[sys.executable, "-c", SCRIPT], env={"KERAS_BACKEND": backend}
    )
    assert done.returncode == 0, done.stderr
    report = dlrun.parse(done.stdout.splitlines()[-1])
    assert report["equal"] == [True] * sum(again for _, _, again in chosen)
    [failed] = report["failed"]
    assert failed.startswith("the loss is nan in epoch 1")
    assert [calls == 0 for calls in report["calls"]] == [reused for _, reused, _ in chosen]
