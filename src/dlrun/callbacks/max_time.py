"""End training before it takes longer than it may."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

from dlrun.callbacks.protocol import RunCallback
from dlrun.system.duration import as_duration, parse_seconds
from dlrun.system.ranks import is_launched, resume_command

log = logging.getLogger("dlrun")


class MaxTime(RunCallback):
    """Stops after an epoch if one more, as long as the longest so far, would go beyond a limit.

    The time of all resumptions of a run counts together: training and validation, without the start
    of the process. An epoch that is longer than the limit is not cut.

    Args:
        limit: As in :func:`dlrun.system.duration.parse_seconds`.
        run: The run's directory, for the line that says how to go on.

    Raises:
        ValueError: If the limit is not a duration. The config is checked for it before.
    """

    async_safe = True

    def __init__(self, limit: str | float, *, run: str = "RUN") -> None:
        super().__init__()
        self._limit = parse_seconds(limit)
        self._run = run
        self._seconds = self._longest = 0.0
        self._began = 0.0
        self._stopped_epoch = 0

    def on_train_begin(self, logs: Any = None) -> None:
        """Start the clock: the first epoch includes the compilation."""
        self._began = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Stop if the next epoch may not fit."""
        now = time.monotonic()
        taken, self._began = now - self._began, now
        self._seconds += taken
        self._longest = max(self._longest, taken)
        if (
            self._seconds + self._longest > self._limit
            and epoch + 1 < (self.params or {})["epochs"]
        ):
            self._stopped_epoch = epoch + 1
            self.model.stop_training = True
            log.info(
                "max_time %s: another epoch may not fit; to go on: %s %s max_time=%s",
                as_duration(self._limit),
                resume_command(),
                self._run,
                # dlrun launch takes the time of the whole run.
                as_duration(2 * self._limit) if is_launched() else f"+{as_duration(self._limit)}",
            )

    def get_state(self) -> dict[str, Any]:
        """The time until now, and the longest epoch."""
        return {"seconds": self._seconds, "longest": self._longest}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on counting."""
        self._seconds, self._longest = float(state["seconds"]), float(state["longest"])

    def get_stopped_epoch(self) -> int:
        """The epoch after which the time was over; 0 if it was not."""
        return self._stopped_epoch
