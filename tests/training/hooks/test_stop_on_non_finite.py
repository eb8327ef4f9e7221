"""A non-finite loss or weight ends the run; earlier checkpoints are kept."""

import re

import pytest

from conftest import in_turn
from trainings import BACKENDS, Refused, worker

LOOPS = ("fit", "train_step", "raw")
SMALL = ("data.limit=640", "epochs=3")  # five batches of 128
SCHEDULE = ("+callbacks=learning_rate_scheduler", "callbacks.learning_rate_scheduler.schedule")


def refused(cwd, backend, *overrides) -> tuple[str, list[str]]:
    """The error of a failed run, and the names of its checkpoints."""
    with pytest.raises(Refused) as caught:
        worker(backend).train(cwd, *SMALL, *overrides)
    assert caught.value.exit_code == 1
    assert "optimizer.learning_rate" in caught.value.hint
    [record] = cwd.glob("runs/*/*/run.json")
    assert '"status": "failed"' in record.read_text()
    checkpoints = sorted(path.name for path in record.parent.glob("checkpoints/epoch-*"))
    return caught.value.message, checkpoints


@pytest.mark.parametrize(("backend", "loop"), in_turn(BACKENDS, LOOPS))
def test_loss_that_is_not_finite_ends_the_run_at_its_step(tmp_path, backend, loop):
    # Adam's first step of 1e30 makes the second batch's logits infinite.
    overrides = ("optimizer.learning_rate=1e30", "loop.steps_per_execution=1")
    message, checkpoints = refused(tmp_path, backend, f"loop={loop}", *overrides)
    assert re.fullmatch(r"the loss is (nan|-?inf) in epoch 1, step 2 of 5", message)
    assert checkpoints == []


@pytest.mark.parametrize("backend", BACKENDS)
def test_several_steps_in_one_call_are_reported_together(tmp_path, backend):
    overrides = ("optimizer.learning_rate=1e30", "loop.steps_per_execution=5")
    message, _ = refused(tmp_path, backend, "loop=raw", *overrides)
    assert re.fullmatch(r"the loss is (nan|-?inf) in epoch 1, steps 1 to 5 of 5", message)


@pytest.mark.parametrize("backend", BACKENDS)
def test_epochs_before_it_keep_their_checkpoints(tmp_path, backend):
    # The first step of the second epoch has a finite loss, and overflows the weights.
    (where, schedule) = SCHEDULE
    message, checkpoints = refused(tmp_path, backend, where, f"{schedule}.decay_rate=1e33")
    assert re.fullmatch(r"the loss is (nan|-?inf) in epoch 2, step 2 of 5", message)
    assert checkpoints == ["epoch-0001"]


@pytest.mark.parametrize(("backend", "loop"), in_turn(BACKENDS, LOOPS))
def test_weights_are_checked_if_the_loss_is_finite(tmp_path, backend, loop):
    # The only step of the epoch has a finite loss, and overflows the weights.
    overrides = ("data.limit=128", "optimizer=sgd", "optimizer.learning_rate=1e39")
    message, checkpoints = refused(tmp_path, backend, f"loop={loop}", *overrides)
    assert message.startswith("the weights are not finite after epoch 1, step 1 of 1: mnist_mlp/")
    assert checkpoints == []


def test_keras_terminate_on_nan_can_be_used(tmp_path):
    overrides = ("+callbacks=terminate_on_nan", "optimizer.learning_rate=1e30")
    message, _ = refused(tmp_path, "jax", *overrides)
    assert re.fullmatch(r"the loss is (nan|-?inf) in epoch 1, step 2 of 5", message)
