"""Train for a while, and measure the steps."""

import time
from typing import Any

import keras

LEAST_EPOCHS = 3  # the first one may compile, and takes as long as all the time there is


class StepClock(keras.callbacks.Callback):
    """Measures epochs, and ends training when its time is over.

    Nothing is called between two steps, so that they run as in training; the last step of an epoch
    is awaited.

    Args:
        steps: Of an epoch.
        seconds: After which training ends, with the epoch, but not before the third.
    """

    def __init__(self, steps: int, seconds: float) -> None:
        super().__init__()
        self.step_seconds: list[float] = []
        """Of each epoch, its mean."""
        self._steps = steps
        self._seconds = seconds
        self._began = self._since = 0.0

    def on_train_begin(self, logs: Any = None) -> None:
        """Start the clock."""
        self._began = self._since = time.perf_counter()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Begin an epoch; the first one with what compiles before it."""
        if self.step_seconds:
            self._since = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Wait for the last step, and end training if its time is over."""
        keras.ops.convert_to_numpy(self.model.optimizer.iterations)
        now = time.perf_counter()
        self.step_seconds.append((now - self._since) / self._steps)
        if now - self._began > self._seconds and len(self.step_seconds) >= LEAST_EPOCHS:
            self.model.stop_training = True
