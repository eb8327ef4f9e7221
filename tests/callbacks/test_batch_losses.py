"""The plots of the loss after every batch."""

import pytest

from conftest import slow_on
from trainings import worker

# Calls the hooks as a loop does, with losses that are jax arrays, and finds what is kept.
SCRIPT = """
import os
import jax.numpy
from dlrun.callbacks.batch_losses import BatchLosses
callback = BatchLosses("drawn/here")
for epoch in range(2):
    callback.on_epoch_begin(epoch)
    for batch in (1, 3):  # two batches per call; the hook gets the last
        callback.on_train_batch_end(batch, {"loss": jax.numpy.asarray(float(epoch or "nan"))})
    kinds = {type(loss).__name__ for loss in callback.losses.values()}
    found[f"epoch {epoch}"] = [*callback.losses, *kinds]
    callback.on_epoch_end(epoch)
found["async_safe"] = getattr(callback, "async_safe", False)
found["plots"] = sorted(os.listdir("drawn/here"))
"""


@pytest.mark.parametrize("backend", slow_on("tensorflow"))
def test_each_epoch_has_a_plot(dlrun, backend):
    words = ("epochs=2", "data.limit=600", "+callbacks=[batch_losses,plots]")
    result = dlrun.warm(backend, "train", *words)
    plots = dlrun.path(result) / "plots"
    names = ["history.png", "history.svg", "loss_epoch_1.png", "loss_epoch_2.png"]
    assert sorted(path.name for path in plots.iterdir()) == names
    pictures = [name for name in names if name.endswith(".png")]
    assert all((plots / name).read_bytes().startswith(b"\x89PNG") for name in pictures)


def test_losses_are_not_converted_within_an_epoch_and_cleared_after_it(tmp_path):
    assert worker("jax").run(tmp_path, SCRIPT) == {
        "epoch 0": [2, 4, "ArrayImpl"],
        "epoch 1": [2, 4, "ArrayImpl"],
        "async_safe": False,
        "plots": ["loss_epoch_1.png", "loss_epoch_2.png"],
    }
