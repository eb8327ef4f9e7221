"""Keep the loss and the learning rate of each update, until the loss diverges."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping
from typing import Any

from dlrun.losses.loss_scale import inner_optimizer
from dlrun.proofs.range_test import Divergence
from dlrun.proofs.step_losses import StepLosses

log = logging.getLogger("dlrun")

LINES = 10  # of progress
CALM = 2.0  # seconds without a line, at most


class RisingRate(StepLosses):
    """Watches a training whose schedule raises the learning rate in each update.

    Args:
        updates: The number of updates, at the end of which training ends.
        batches: Of an update: those whose gradients the optimizer accumulates.
        smoothing: As for :class:`dlrun.proofs.range_test.Divergence`.
        until: When training ends at the latest, by ``time.monotonic``.
    """

    def __init__(self, updates: int, batches: int, smoothing: float, until: float) -> None:
        super().__init__(updates * batches)
        self.rates: list[float] = []
        self.update_losses: list[float] = []
        self.stopped_by = "steps"
        self._updates, self._batches = updates, batches
        self._divergence = Divergence(smoothing)
        self._until = until
        self._told = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Keep the mean loss of an update, and end training if the test is over."""
        super().on_train_batch_end(batch, logs)
        if len(self.losses) % self._batches:
            return
        loss = sum(self.losses[-self._batches :]) / self._batches
        optimizer = inner_optimizer(self.model.optimizer)
        self.rates.append(float(f"{optimizer.last_learning_rate():.7g}"))
        self.update_losses.append(loss)
        if self._divergence.add(loss):
            self._stop("divergence" if math.isfinite(loss) else "a loss that is not finite")
        elif time.monotonic() > self._until and len(self.rates) < self._updates:
            self._stop("time")
        self._tell(loss)

    def _stop(self, reason: str) -> None:
        self.stopped_by = reason
        self.model.stop_training = True

    def _tell(self, loss: float) -> None:
        done, now = len(self.rates), time.monotonic()
        is_due = done % max(1, self._updates // LINES) == 0 or self.model.stop_training
        if is_due or now - self._told > CALM:
            self._told = now
            rate = self.rates[-1]
            log.info("step   %d/%d  learning rate %.3g  loss %.4g", done, self._updates, rate, loss)
