"""The loss after every batch, drawn for real."""

import sys

import pytest

# Calls the hooks as a loop does, with losses that are no plain numbers yet, and tells what is kept.
HOOKED = """
import os
os.environ["KERAS_BACKEND"] = "jax"
import jax.numpy
from dlrun.callbacks.batch_losses import BatchLosses
callback = BatchLosses("drawn/here")
for epoch in range(2):
    callback.on_epoch_begin(epoch)
    for batch in (1, 3):  # the last of two at once
        callback.on_train_batch_end(batch, {"loss": jax.numpy.asarray(float(epoch or "nan"))})
    print(*callback.losses, {type(loss).__name__ for loss in callback.losses.values()})
    callback.on_epoch_end(epoch)
print(getattr(callback, "async_safe", False), *sorted(os.listdir("drawn/here")))
"""


@pytest.mark.parametrize("backend", ["jax", "tensorflow", "torch"])
def test_each_epoch_is_drawn_beside_the_curves(dlrun, backend):
    words = (f"backend={backend}", "epochs=2", "data.limit=600")
    result = dlrun.json("train", *words, "+callbacks=[batch_losses,plots]")
    plots = dlrun.path(result) / "plots"
    names = ["history.png", "loss_epoch_1.png", "loss_epoch_2.png"]
    assert sorted(path.name for path in plots.iterdir()) == names
    assert all((plots / name).read_bytes().startswith(b"\x89PNG") for name in names)


def test_losses_are_kept_as_they_are_by_batch_and_forgotten_after_the_epoch(dlrun):
    done = dlrun(command=[sys.executable, "-c", HOOKED])
    assert done.stdout.splitlines() == [
        "2 4 {'ArrayImpl'}",
        "2 4 {'ArrayImpl'}",
        "False loss_epoch_1.png loss_epoch_2.png",
    ], done.stderr
