"""Measure the speed of training."""

import time
from collections.abc import Callable
from typing import Any

import keras

from dlrun.loops.hooks import numbers


class Timing(keras.callbacks.Callback):
    """Measures the first step, and the steady rate of the steps after it.

    The rate excludes validation and compilation: the first epoch, whose last batch may be smaller,
    or of a single epoch its first step.

    Args:
        samples_of: The training samples of an epoch, counted from 0.
    """

    async_safe = True
    takes_tensors = True

    def __init__(self, samples_of: Callable[[int], int]) -> None:
        super().__init__()
        self.first_step_seconds = 0.0
        self.first_steps = 0
        """The steps of the first epoch that were done once the first call was computed."""
        self.epoch_seconds = 0.0
        """Of the newest epoch, without validation."""
        self.epochs = 0
        self._samples_of = samples_of
        self._samples = self._first_samples = self._steps = 0
        self._began = self._epoch_began = time.perf_counter()
        self._seconds = self._first_epoch_seconds = 0.0
        self._in_training = False

    @property
    def examples_per_second(self) -> float:
        """Training samples per second at the steady rate; over all steps if there are few."""
        if self.epochs > 1:
            samples = self._samples - self._first_samples
            return samples / (self._seconds - self._first_epoch_seconds)
        seconds = self._seconds - self.first_step_seconds
        if self._steps > 1 and seconds > 0:
            return self._samples * (1 - 1 / self._steps) / seconds
        return self._samples / self._seconds if self._seconds else 0.0

    @property
    def step_seconds(self) -> float:
        """Seconds per step at that rate."""
        rate = self.examples_per_second
        return self._samples / self._steps / rate if rate else 0.0

    def on_train_begin(self, logs: Any = None) -> None:
        """Start the clock."""
        self._began = time.perf_counter()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Start the epoch's clock."""
        self._epoch_began = time.perf_counter()
        self._in_training = True

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Time the first step, until it is computed."""
        if self.first_step_seconds:
            return
        numbers(logs)
        if not self.first_step_seconds:  # fit() may call from another thread meanwhile
            self.first_step_seconds = time.perf_counter() - self._began
            self.first_steps = batch + 1

    def on_test_begin(self, logs: Any = None) -> None:
        """Stop the epoch's clock before validation."""
        self._stop()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Stop the epoch's clock, if validation has not."""
        self._stop()
        self._samples += self._samples_of(epoch)
        self._steps += int((self.params or {}).get("steps") or 1)
        if not self.epochs:
            self._first_epoch_seconds, self._first_samples = self._seconds, self._samples
        self.epochs += 1

    def _stop(self) -> None:
        if self._in_training:
            # The backend may still be computing the last steps.
            keras.ops.convert_to_numpy(self.model.optimizer.iterations)
            self.epoch_seconds = time.perf_counter() - self._epoch_began
            self._seconds += self.epoch_seconds
            self._in_training = False
