"""What runs of one process hand on to each other changes no bit of what they compute."""

import json
import sys

import pytest

# To trace a model calls its layers.
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
# Each run in a process that stays, then each again with nothing handed on.
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

def left(path):
    at = list_positions(path / "checkpoints")[-1]
    saved = read_checkpoint(checkpoint_path(path / "checkpoints", at))
    arrays = [v.value.tobytes() for part in PARTS for v in getattr(saved, part)]
    return arrays, saved.state["history"]

def run(typed, warm):
    path = Path(tempfile.mkdtemp()) / "run"
    before = len(my_parts.calls)
    try:
        result = train(typed, path=path, cache=warm, quiet=True).to_dict()
    except DlrunError as error:
        return error.message, 0
    told = [result[key] for key in ("train", "validation", "test", "best_epoch", "stopped_by")]
    return (left(path), told), len(my_parts.calls) - before

runs, warm = json.loads(sys.argv[1]), ProcessCache()
ours, equal = [], []
for typed, _ in runs:
    ours.append(run(typed, warm))
    warm.forget()
my_parts.Doubled.factor = 1.0
for (told, _), (typed, again) in zip(ours, runs):
    if again:
        equal.append(told == run(typed, None)[0])
        backends.forget()
failed = [one for one, _ in ours if isinstance(one, str)]
calls = [n for _, n in ours]
print(json.dumps({"equal": equal, "calls": calls, "failed": failed}))
"""
NET = ("model._target_=my_parts.net", "+model.slope=0.1")
SMALL = ("data.limit=256", "batch_size=64", "epochs=1", "~model.units")
OWN_FUNCTION = ("model._target_=my_parts.with_own_function",)
OWN_LAYER = ("model._target_=my_parts.with_own_layer",)
# Of each run, what it has; whether it computes with what was compiled for the one before; whether
# it is made again, with nothing handed on, to be compared.
EMA = (*NET, "+optimizer.use_ema=true", "+callbacks=swap_ema_weights")
OWN_LOSS = (*NET, "loop=train_step_own_loss")
RAW = (*NET, "loop=raw")
RUNS = (
    ((*NET, "seed=1"), False, False),
    ((*NET, "seed=2"), True, True),
    ((*NET, "optimizer.learning_rate=0.1", "epochs=3"), True, True),
    (EMA, False, False),
    ((*EMA, "seed=3"), True, True),
    ((NET[0], "+model.slope=0.3"), False, True),
    (RAW, False, False),
    ((*RAW, "optimizer.learning_rate=0.01"), True, True),
    ((*RAW, "optimizer.learning_rate=1e30"), True, False),
    (RAW, False, True),  # of one that failed nothing is kept
    (OWN_LOSS, False, False),
    ((*OWN_LOSS, "seed=2"), False, True),  # its tracker is one more metric of the model
    ((*NET, "+callbacks.own._target_=my_parts.Freezes"), False, False),
    (NET, False, True),  # of a run with a callback of one's own neither
    (OWN_LAYER, False, True),
    (OWN_LAYER, False, True),
    (OWN_FUNCTION, False, True),
    (OWN_FUNCTION, False, True),
)


@pytest.mark.parametrize("backend", ["jax", "tensorflow"])
def test_what_was_compiled_computes_the_next_run_where_only_values_differ(dlrun, backend):
    (dlrun.cwd / "my_parts.py").write_text(MODULE)
    runs = [([f"backend={backend}", *SMALL, *typed], again) for typed, _, again in RUNS]
    done = dlrun(
        json.dumps(runs), command=[sys.executable, "-c", SCRIPT], env={"KERAS_BACKEND": backend}
    )
    assert done.returncode == 0, done.stderr
    found = dlrun.parse(done.stdout.splitlines()[-1])
    assert found["equal"] == [True] * sum(again for _, _, again in RUNS)
    [failed] = found["failed"]
    assert failed.startswith("the loss is nan in epoch 1")
    assert [calls == 0 for calls in found["calls"]] == [there for _, there, _ in RUNS]
