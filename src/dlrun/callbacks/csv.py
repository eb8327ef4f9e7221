"""Write the metrics of each epoch to a CSV file."""

import csv
import io
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from dlrun.callbacks.protocol import RunCallback
from dlrun.system.files import append, write_text


class CSV(RunCallback):
    """Writes a row per epoch, with all metrics.

    ``epoch`` counts from 1, ``step`` and ``samples`` are those of training until then, ``seconds``
    those of the epoch, and ``learning_rate`` that of its last step.

    A row is appended, and the file is written anew only for a new column and by a resumed run. Rows
    reach the disk with each checkpoint's history, from which a resumed run takes them.

    Args:
        filename: The file to write.
    """

    def __init__(self, filename: str) -> None:
        super().__init__()
        self.filename = Path(filename)
        self._row: dict[str, Any] = {}
        self._columns: list[str] = []
        self._started = 0.0
        self._length: Any = None

    def set_run(self, *, data: Any, **_: Any) -> None:
        """Take the length of the run, for the columns ``step`` and ``samples``."""
        self._length = data.length

    def get_row(self) -> dict[str, Any]:
        """The newest row, for a checkpoint."""
        return self._row

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restore the rows from a checkpoint; later rows in the file are dropped."""
        if rows := list(state["rows"]):
            self._write(rows)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Start timing."""
        self._started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Add the epoch's row."""
        learning_rate = keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)
        trained = {}
        if self._length is not None:
            steps, samples = (
                self._length.steps_until(epoch + 1),
                self._length.samples_until(epoch + 1),
            )
            trained = {"step": steps, "samples": samples}
        row: dict[str, Any] = {
            "epoch": epoch + 1,
            **trained,
            "seconds": round(time.perf_counter() - self._started, 3),
            "learning_rate": float(learning_rate),
        }
        self._row = row | {name: float(value) for name, value in (logs or {}).items()}
        if not self._columns:
            self._write([self._row])  # a file of an earlier start is replaced
        elif not self._row.keys() <= set(self._columns):
            with self.filename.open(encoding="utf-8", newline="") as file:
                self._write([*csv.DictReader(file), self._row])
        else:
            append(self.filename, _lines([self._row], self._columns))

    def _write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self._columns = list(dict.fromkeys(name for row in rows for name in row))
        header = dict(zip(self._columns, self._columns, strict=True))
        write_text(self.filename, _lines([header, *rows], self._columns))


def _lines(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> str:
    text = io.StringIO()
    csv.DictWriter(text, columns, lineterminator="\n").writerows(rows)
    return text.getvalue()
