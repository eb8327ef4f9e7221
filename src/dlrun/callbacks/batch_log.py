"""Log the loss of every Nth batch."""

import logging
from collections.abc import Mapping
from typing import Any

from dlrun.callbacks.protocol import RunCallback
from dlrun.loops.hooks import number

log = logging.getLogger("dlrun")


class BatchLog(RunCallback):
    """Logs the loss of every Nth batch: the batch's own loss, not the epoch's running mean.

    Args:
        every: Batches between two log lines.
    """

    takes_tensors = True

    def __init__(self, every: int = 100) -> None:
        super().__init__()
        self.every = every
        self._sum = 0.0

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Log every Nth batch, counted from 1."""
        done = batch + 1
        if done % self.every not in (0, self.every - 1):
            return  # reading the loss would wait for the device
        # Keras logs the mean over the epoch so far; all batches but the last have the same size.
        total = number((logs or {})["loss"]) * done
        if done % self.every == 0:
            log.info("batch  %d/%d  loss %.4f", done, self.params["steps"], total - self._sum)
        self._sum = total
