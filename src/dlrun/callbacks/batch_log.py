"""The loss of a batch now and then, in words."""

import logging
from collections.abc import Mapping
from typing import Any

from dlrun.callbacks.protocol import RunCallback

log = logging.getLogger("dlrun")


class BatchLog(RunCallback):
    """Logs the loss of every so-manieth batch: that batch's own, not the epoch's running mean.

    Args:
        every: How many batches lie between two lines.
    """

    def __init__(self, every: int = 100) -> None:
        super().__init__()
        self.every = every
        self._sum = 0.0

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Log the batch, counted from 1, if it is its turn."""
        done = batch + 1
        if done % self.every not in (0, self.every - 1):
            return  # reading the loss waits for the device
        # Keras logs the mean over the epoch so far; batches before the last are of one size.
        total = float((logs or {})["loss"]) * done
        if done % self.every == 0:
            log.info("batch  %d/%d  loss %.4f", done, self.params["steps"], total - self._sum)
        self._sum = total
