"""Warn of steps that are far slower than on another backend."""

import logging
import time
from typing import Any

import keras

from dlrun.training.speeds import SLOWER

log = logging.getLogger("dlrun")
SECONDS = 1.0  # of steps after the first, before they are judged
COMPILES = 3  # times what the first step took, too: steps of another size compile again


class WarnOfSlowSteps(keras.callbacks.Callback):
    """Warns once if a step takes more than ten times that of ``dlrun bench`` on another backend.

    Steps are timed until validation, and added up over epochs, which may be short.

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
        self._seconds, self._steps = 0.0, 0  # of the stretches of steps that are over
        self._begun = 0.0  # the epoch
        self._since: float | None = None  # the end of the first call of a stretch
        self._first = self._last = -1
        self._needed: float | None = None  # seconds of steps; None before the first, which compiles
        self._is_cold = self._is_over = False

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Begin to time the steps of an epoch."""
        self._begun, self._is_cold = time.perf_counter(), self._needed is None
        self._since, self._last = None, -1

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Judge the steps once there are enough."""
        if self._is_over:
            return
        now = time.perf_counter()
        if self._needed is None:
            self._needed = max(SECONDS, COMPILES * (now - self._begun))
        self._last = max(self._last, batch)  # fit() calls hooks from threads, in any order
        if self._since is None:
            self._since, self._first = now, batch
        else:
            self._judge(now - self._since, self._last - self._first)

    def on_test_begin(self, logs: Any = None) -> None:
        """Stop before validation."""
        self._stop()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Stop, if validation has not."""
        self._stop()

    def _stop(self) -> None:
        """Add the steps until now, which the run's clock has awaited, to those before."""
        if self._is_over or self._since is None:
            return
        since, steps = self._since, self._last - self._first
        if not steps and not self._is_cold:  # the epoch is one call
            since, steps = self._begun, self._last + 1
        self._since = None
        if steps:
            seconds = time.perf_counter() - since
            self._judge(seconds, steps)
            self._seconds += seconds
            self._steps += steps

    def _judge(self, seconds: float, steps: int) -> None:
        """Judge the steps of a stretch, with those before, if they have taken long enough."""
        seconds, steps = self._seconds + seconds, self._steps + steps
        if self._needed is None or seconds < self._needed or not steps:
            return
        self._is_over = True
        backend, loop, fast = self._other
        if seconds > SLOWER * fast * steps:
            log.warning(
                "slow   a step takes %.3g s on %s, and took %.2g s on %s (loop=%s) in dlrun bench:"
                " choose backend=%s",
                *(seconds / steps, self._backend, fast, backend, loop, backend),
            )
