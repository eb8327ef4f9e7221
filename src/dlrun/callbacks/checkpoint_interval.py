"""After which steps and epochs a checkpoint is due."""

from __future__ import annotations

import math
import time

from dlrun.data.length import Length
from dlrun.system.interval import parse_every

# Without every_seconds, the epochs of a short run all have a checkpoint. Later ones wait this long
# for theirs: on a disk, writing one may take longer than a small model's epoch.
FIRST_EPOCHS = 20
SECONDS = 1.0


class CheckpointInterval:
    """Decides by steps, epochs or the clock whether a checkpoint is due.

    Args:
        every: As for :class:`dlrun.callbacks.checkpoint.Checkpoint`, like the two that follow.
        every_steps: See there.
        every_seconds: See there.

    Raises:
        ValueError: If ``every`` is not an interval. The config is checked before for all of them.
    """

    def __init__(
        self, every: int | str | None, every_steps: int | None, every_seconds: float | None
    ) -> None:
        self._steps, self._seconds = every_steps, every_seconds
        self._epochs: float | None = None
        self._within_seconds: float | None = None
        self._length: Length | None = None
        self._saved_at = self._began = -math.inf
        if every is None:
            return
        interval = parse_every(every)
        if interval.unit == "steps":
            self._steps = int(interval.amount)
        elif interval.unit == "epochs":
            self._epochs = interval.amount
        else:
            self._seconds = self._within_seconds = interval.amount

    @property
    def divides_epochs(self) -> bool:
        """Whether a checkpoint may be due within an epoch."""
        return self._steps is not None or self._within_seconds is not None

    def set_length(self, length: Length | None) -> None:
        """Take the length of the run, by which a part of an epoch is a number of steps."""
        self._length = length
        if length and self._epochs:
            samples = self._epochs * length.given
            if samples < length.epoch:
                self._steps = max(1, round(samples / length.batch_size))

    def begin(self) -> None:
        """Start the clock: training begins."""
        self._began = time.monotonic()

    def restart(self) -> None:
        """Start the clock again: a checkpoint is about to be written."""
        self._saved_at = time.monotonic()

    def is_due_within(self, first: int, done: int) -> bool:
        """Whether one is due after so many steps of an epoch, the last call having had a first."""
        if self._steps is not None and done // self._steps > first // self._steps:
            return True
        if self._within_seconds is None:
            return False
        return time.monotonic() - max(self._saved_at, self._began) >= self._within_seconds

    def is_due_after(self, epochs: int) -> bool:
        """Whether one is due after so many epochs, which are not all."""
        if self._epochs is not None:
            return self._intervals_until(epochs) > self._intervals_until(epochs - 1)
        if self._seconds is None and epochs <= FIRST_EPOCHS:
            return True
        seconds = SECONDS if self._seconds is None else self._seconds
        return time.monotonic() - self._saved_at >= seconds

    def _intervals_until(self, epochs: int) -> int:
        """How many of the intervals of ``every`` are over after so many epochs."""
        assert self._epochs is not None
        length = self._length
        given = length.samples_until(epochs) / length.given if length else epochs
        return math.floor(given / self._epochs + 1e-9)
