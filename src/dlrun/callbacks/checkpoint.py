"""Checkpoints in dlrun's own form."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from dlrun import architecture, checkpoint
from dlrun.errors import DlrunError

# The counters by which Keras' callbacks decide; each callback has some of them.
COUNTERS = ("wait", "best", "best_epoch", "stopped_epoch", "cooldown_counter")


class Checkpoint(keras.callbacks.Callback):
    """Saves at the end of each epoch; keeps the last two epochs and the best.

    Args:
        directory: Where to keep the checkpoints.
        monitor: The logged value that decides the best epoch.
        mode: ``min`` or ``max``.
        keep: How many of the last epochs to keep.
    """

    def __init__(
        self,
        directory: str,
        monitor: str = "val_loss",
        mode: str = "min",
        *,
        keep: int = 2,
    ) -> None:
        super().__init__()
        self.directory = Path(directory)
        self.monitor = monitor
        self.mode = mode
        self.keep = keep
        self.written_by: Mapping[str, Any] = {}
        self.others: Mapping[str, keras.callbacks.Callback] = {}
        self.history: list[dict[str, float]] = []
        self.best: dict[str, float] | None = None

    def set_run(
        self,
        *,
        written_by: Mapping[str, Any],
        callbacks: Mapping[str, keras.callbacks.Callback],
        **_: Any,
    ) -> None:
        """Take the versions for the manifest, and the callbacks whose counters to save."""
        self.written_by, self.others = written_by, callbacks

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Save the epoch, ``epoch`` counted from 0 as Keras does; on disk it counts from 1."""
        row = {name: float(value) for name, value in (logs or {}).items()}
        number = epoch + 1
        self.history.append({"epoch": number, **row})
        value = row.get(self.monitor, math.nan)
        if self.best is None or _improved(value, self.best["value"], self.mode):
            self.best = {"epoch": number, "value": value}
        try:
            self._save(number)
        except OSError as error:
            raise DlrunError(
                f"the checkpoint of epoch {number} can't be written to {self.directory}:"
                f" {error.strerror}",
                hint="earlier checkpoints are as they were; make room, or choose runs_dir=PATH",
                exit_code=1,
            ) from error

    def _save(self, number: int) -> None:
        checkpoint.write(
            self.directory,
            number,
            {"model": _values(self.model.variables), "optimizer": _values(self._slots())},
            {
                "epoch": number,
                "best": self.best,
                "history": self.history,
                "architecture": architecture.describe(self.model, self.model.optimizer),
                "callbacks": {n: _counters(c) for n, c in self.others.items() if _counters(c)},
            },
            written_by=self.written_by,
        )
        last = checkpoint.epochs_kept(self.directory)[-self.keep :]
        best = [int(self.best["epoch"])] if self.best else []
        checkpoint.prune(self.directory, [*best, *last])

    def _slots(self) -> list[Any]:
        return list(self.model.optimizer.variables)


def _improved(value: float, best: float, mode: str) -> bool:
    if math.isnan(value):
        return False
    return math.isnan(best) or (value < best if mode == "min" else value > best)


def _values(variables: Iterable[Any]) -> list[checkpoint.Variable]:
    return [
        checkpoint.Variable(v.path, np.asarray(keras.ops.convert_to_numpy(v.value)))
        for v in variables
    ]


def _counters(callback: keras.callbacks.Callback) -> dict[str, float]:
    found = {name: getattr(callback, name, None) for name in COUNTERS}
    return {n: float(v) for n, v in found.items() if isinstance(v, int | float | np.number)}
