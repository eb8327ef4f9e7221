"""Decide how long the next epoch is, where the clock ends them."""

import logging
from collections.abc import Callable
from typing import Any

import keras

from dlrun.data.length import ClockedLength
from dlrun.training.hooks.timing import Timing

log = logging.getLogger("dlrun")


class Pace(keras.callbacks.Callback):
    """Chooses the steps of each epoch by the speed of the one before, so that it takes its time.

    It comes after the timing, and before all callbacks that save.

    Args:
        length: The run's, which it adds its decisions to.
        timing: Measures the epochs.
        agree: Takes a number of steps, and returns that of rank 0.
    """

    def __init__(
        self, length: ClockedLength, timing: Timing, agree: Callable[[int], int] = int
    ) -> None:
        super().__init__()
        self._length = length
        self._timing = timing
        self._agree = agree
        self.record: Callable[[], None] = lambda: None
        """Writes the decisions down before the epoch begins that they are of."""

    def on_train_begin(self, logs: Any = None) -> None:
        """Say that the first epoch is a short one."""
        if len(self._length.ends) == 1:
            log.info(
                "pace   the first %d steps measure the speed; from then on, validation comes each"
                " %g s of training",
                *(self._length.steps_of(0), self._length.seconds),
            )

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Decide, unless a run that is resumed has done so before."""
        length, timing = self._length, self._timing
        if not length.is_open_after(epoch):
            return
        steps, seconds = length.steps_of(epoch), timing.epoch_seconds
        if timing.epochs == 1:  # the first call compiles
            steps, seconds = steps - timing.first_steps, seconds - timing.first_step_seconds
        following = length.steps_of(epoch)  # as many again if nothing was measured
        if steps > 0 and seconds > 0:
            following = max(1, round(length.seconds * steps / seconds))
        length.decide(self._agree(following))
        self.record()
