"""Warn of steps that are far slower than on another backend."""

import logging
import time
from typing import Any

import keras

from dlrun.training.speeds import SLOWER

log = logging.getLogger("dlrun")
SECONDS = 1.0  # of steps after the first, before they are judged


class WarnOfSlowSteps(keras.callbacks.Callback):
    """Warns once if a step takes more than ten times that of ``dlrun bench`` on another backend.

    Args:
        backend: The run's.
        other: The fastest other backend, its loop, and the seconds of a step there.
    """

    async_safe = True  # a step is not awaited, so it may seem faster than it is, and never slower
    takes_tensors = True

    def __init__(self, backend: str, other: tuple[str, str, float]) -> None:
        super().__init__()
        self._backend = backend
        self._other = other
        self._since: float | None = None
        self._at = 0
        self._is_over = False

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Begin to count."""
        self._since = None

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Judge the steps once there are enough."""
        if self._is_over:
            return
        now = time.perf_counter()
        if self._since is None:  # the first step compiles
            self._since, self._at = now, batch
            return
        # fit() calls hooks from threads, in any order.
        if now - self._since < SECONDS or batch <= self._at:
            return
        self._is_over = True
        seconds = (now - self._since) / (batch - self._at)
        backend, loop, fast = self._other
        if seconds > SLOWER * fast:
            log.warning(
                "slow   a step takes %.3g s on %s, and took %.2g s on %s (loop=%s) in dlrun bench:"
                " choose backend=%s",
                *(seconds, self._backend, fast, backend, loop, backend),
            )
