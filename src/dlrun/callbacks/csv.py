"""Write the metrics of each epoch to a CSV file."""

import csv
import io
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from dlrun.callbacks.protocol import RunCallback
from dlrun.system.files import write_text


class CSV(RunCallback):
    """Writes a row per epoch: ``epoch`` from 1, ``seconds``, ``learning_rate``, and all metrics.

    The whole file is rewritten each time, so that it never ends in an incomplete row.

    Args:
        filename: The file to write.
    """

    def __init__(self, filename: str) -> None:
        super().__init__()
        self.filename = Path(filename)
        self.rows: list[dict[str, Any]] = []
        self._started = 0.0

    def get_state(self) -> dict[str, Any]:
        """The rows so far, for a checkpoint."""
        return {"rows": self.rows}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restore the rows from a checkpoint; later rows in the file are dropped."""
        self.rows = list(state["rows"])
        if self.rows:
            self._write()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Start timing."""
        self._started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Add the epoch's row."""
        learning_rate = keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)
        row = {
            "epoch": epoch + 1,
            "seconds": round(time.perf_counter() - self._started, 3),
            "learning_rate": float(learning_rate),
        }
        self.rows.append(row | {name: float(value) for name, value in (logs or {}).items()})
        self._write()

    def _write(self) -> None:
        text = io.StringIO()
        columns = dict.fromkeys(name for row in self.rows for name in row)
        writer = csv.DictWriter(text, list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(self.filename, text.getvalue())
