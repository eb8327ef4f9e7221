"""Hooks between two steps: what is read, and when."""

import re

import pytest

from conftest import in_turn, slow_on
from trainings import BACKENDS, Refused, worker

# 200 steps of an epoch; the update of step 140 is far too large.
SMALL = ("model=mnist_mlp", "model.units=8", "data.limit=3200", "batch_size=16", "epochs=1")
OVERFLOW = ("schedule=piecewise", "schedule.unit=steps", "schedule.boundaries=[139]")
OVERFLOWS = (*SMALL, *OVERFLOW, "loop.steps_per_execution=1")
OWN = """
import keras
from dlrun.loops import hooks
from dlrun.training.hooks import finite

read, number = 0, hooks.number

def counted(value):
    global read
    read += 1
    return number(value)

class Count(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        finite.number = counted

    def on_train_end(self, logs=None):
        finite.number = number
        open("read.txt", "w").write(str(read))

class Numbers(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        kinds = {type(value).__name__ for value in logs.values()}
        print(batch, *kinds, file=open("seen.txt", "a"))
"""


@pytest.mark.trains
@pytest.mark.parametrize(("backend", "loop"), in_turn(BACKENDS, ("fit", "raw")))
def test_the_step_is_named_in_the_midst_of_a_block(tmp_path, backend, loop):
    with pytest.raises(Refused) as caught:
        worker(backend).train(tmp_path, *OVERFLOWS, "schedule.factors=[1,1e33]", f"loop={loop}")
    assert re.fullmatch(
        r"the loss is (nan|-?inf) in epoch 1, step 141 of 200", caught.value.message
    )


@pytest.mark.trains
@pytest.mark.parametrize(
    ("backend", "loop", "every", "kept"),
    [
        ("jax", "fit", "20", (100, 120)),
        ("tensorflow", "raw", "20", (100, 120)),
        ("jax", "raw", "0.0001s", (138, 139)),  # the clock asks after each step
    ],
)
def test_weights_that_are_not_finite_are_not_saved_within_an_epoch(
    tmp_path, backend, loop, every, kept
):
    words = (f"loop={loop}", f"callbacks.checkpoint.every={every}", "schedule.factors=[1,1e43]")
    with pytest.raises(Refused) as caught:
        worker(backend).train(tmp_path, *OVERFLOWS, *words)
    text = "the weights are not finite after epoch 1, step 140 of 200: mnist_mlp/"
    assert caught.value.message.startswith(text)
    saved = sorted(path.name for path in tmp_path.glob("runs/*/*/checkpoints/epoch-*"))
    assert saved == [f"epoch-0001-step-{step:06}" for step in kept]


@pytest.mark.trains
@pytest.mark.parametrize("backend", slow_on("tensorflow", "torch"))
def test_few_losses_are_read_and_own_callbacks_get_numbers(tmp_path, backend):
    (tmp_path / "own_hooks.py").write_text(OWN)
    worker(backend).train(tmp_path, *SMALL, "+callbacks.count._target_=own_hooks.Count")
    assert int((tmp_path / "read.txt").read_text()) < 50
    worker(backend).train(tmp_path, *SMALL, "+callbacks.own._target_=own_hooks.Numbers")
    seen = (tmp_path / "seen.txt").read_text().splitlines()
    assert seen == [f"{batch} float" for batch in range(200)]
