"""The plots of the loss after every batch."""

import sys

import pytest

# Calls the hooks as a loop does, with losses that are jax arrays, and prints what is kept.
SCRIPT = """
import os
os.environ["KERAS_BACKEND"] = "jax"
import jax.numpy
from dlrun.callbacks.batch_losses import BatchLosses
callback = BatchLosses("drawn/here")
for epoch in range(2):
    callback.on_epoch_begin(epoch)
    for batch in (1, 3):  # two batches per call; the hook gets the last
        callback.on_train_batch_end(batch, {"loss": jax.numpy.asarray(float(epoch or "nan"))})
    print(*callback.losses, {type(loss).__name__ for loss in callback.losses.values()})
    callback.on_epoch_end(epoch)
print(getattr(callback, "async_safe", False), *sorted(os.listdir("drawn/here")))
"""


@pytest.mark.parametrize("backend", ["jax", "tensorflow", "torch"])
def test_each_epoch_has_a_plot(dlrun, backend):
    words = ("epochs=2", "data.limit=600", "+callbacks=[batch_losses,plots]")
    result = dlrun.warm(backend, "train", *words)
    plots = dlrun.path(result) / "plots"
    names = ["history.png", "history.svg", "loss_epoch_1.png", "loss_epoch_2.png"]
    assert sorted(path.name for path in plots.iterdir()) == names
    pictures = [name for name in names if name.endswith(".png")]
    assert all((plots / name).read_bytes().startswith(b"\x89PNG") for name in pictures)


def test_losses_are_not_converted_within_an_epoch_and_cleared_after_it(dlrun):
    done = dlrun(command=[sys.executable, "-c", SCRIPT])
    assert done.stdout.splitlines() == [
        "2 4 {'ArrayImpl'}",
        "2 4 {'ArrayImpl'}",
        "False loss_epoch_1.png loss_epoch_2.png",
    ], done.stderr
