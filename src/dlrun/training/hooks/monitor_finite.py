"""Watch the value that decides the best epoch: one that is not finite is never the best."""

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from dlrun.errors import DlrunError

log = logging.getLogger("dlrun")


class MonitorFinite(keras.callbacks.Callback):
    """Warns of the first epoch whose monitored value is not finite.

    Args:
        monitor: The value's name in the logs.
    """

    def __init__(self, monitor: str) -> None:
        super().__init__()
        self._monitor = monitor
        self._warned = False

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Warn, once."""
        value = float((logs or {}).get(self._monitor, 0.0))
        if not math.isfinite(value) and not self._warned:
            self._warned = True
            log.warning(
                "%s is %s in epoch %d: such an epoch is never the best",
                *(self._monitor, value, epoch + 1),
            )


def require_finite(rows: Sequence[Mapping[str, float]], monitor: str) -> None:
    """Require an epoch that can be the best.

    Args:
        rows: The logs of each epoch of a run.
        monitor: The name of the value that decides.

    Raises:
        DlrunError: If no epoch logged it, or it is not finite in any.
    """
    values = {epoch: row[monitor] for epoch, row in enumerate(rows, 1) if monitor in row}
    if any(map(math.isfinite, values.values())):
        return
    first = next(iter(values), None)
    problem = (
        f"no epoch logged {monitor}"
        if first is None
        else f"{monitor} is {values[first]} in epoch {first}, and not finite in any"
    )
    raise DlrunError(
        f"{problem}: there is no best epoch",
        hint="check the data that it is computed on, or choose another task.monitor;"
        " the checkpoints are kept: dlrun evaluate RUN --checkpoint last",
        exit_code=1,
    )
