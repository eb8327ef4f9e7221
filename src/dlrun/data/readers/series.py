"""Rows of time series, for a run that forecasts them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlrun.data.preprocessing.windows import Last, Windows
from dlrun.data.readers import STDIN, Part, Request
from dlrun.data.readers.arrays import SUFFIXES as ARRAYS
from dlrun.data.readers.table import table_files
from dlrun.data.row_formats import open_rows
from dlrun.data.table_formats import suffixes
from dlrun.data.tabular.column_values import WrongValueError
from dlrun.data.tabular.series import Series, SeriesError, arrange, each_series, without_window_note
from dlrun.errors import DlrunError
from dlrun.system.packages import require_package

if TYPE_CHECKING:
    import pyarrow as pa


def kinds(request: Request) -> list[str]:
    """See :mod:`dlrun.data.readers`."""
    return suffixes(None) if request.spec.step(Windows) else []


def takes(request: Request) -> bool:
    """See :mod:`dlrun.data.readers`."""
    return request.spec.step(Windows) is not None and request.source.suffix not in ARRAYS


class Reader:
    """See :class:`dlrun.data.readers.Reader`.

    A sample is the last window of each series. With labels, it is each window that has as many rows
    after it as are forecast. All rows are read, as the table may hold the series in any order.
    """

    def __init__(self, request: Request) -> None:
        require_package("pyarrow", "a table", "data")
        step = request.spec.step(Windows)
        assert step is not None, "takes() says so"
        self._request, self._step = request, step
        self._label = f"{request.key} {request.source}"
        self.files, self._table = self._read()
        self._notes: list[str] = []

    def parts(self) -> Iterator[Part]:
        """See :class:`dlrun.data.readers.Reader`."""
        try:
            if self._request.labels:
                yield from self._windows(arrange(self._table, self._step.options))
            else:
                yield self._last()
        except (SeriesError, WrongValueError) as error:
            hint = getattr(error, "hint", "correct it, or remove the row")
            if hint.startswith("data."):  # which can't change after the training
                hint = "complete the table: the run was trained without gaps and missing values"
            raise DlrunError(f"{self._label}: {error}", hint=hint) from error
        except ValueError as error:
            raise DlrunError(f"{self._label}: {error}") from error

    def notes(self) -> list[str]:
        """See :class:`dlrun.data.readers.Reader`."""
        return self._notes

    def _read(self) -> tuple[Sequence[Path], dict[str, Any]]:
        """The files, and the columns of the run, of all rows."""
        if str(self._request.source) == STDIN:
            return [self._request.source], self._read_stdin()
        files = table_files(self._request)
        columns = files.read()
        self._require_columns(list(columns))
        return files.paths, {name: columns[name] for name in self._step.names}

    def _read_stdin(self) -> dict[str, Any]:
        """The columns of the run, of JSON lines."""
        rows = open_rows(self._request.source, "jsonl", self._request.table)
        if rows.names:  # else no row could be read
            self._require_columns(rows.names)
        # In one block, so that a column has one type.
        block = next(rows.blocks(self._step.cells, sys.maxsize), None)
        if block is None:
            raise DlrunError(f"{self._label}: has no rows")
        for row, why in block.wrong.items():
            raise DlrunError(
                f"{self._label}: row {row:,} {why}", hint="correct it, or remove the row"
            )
        return {name: block.batch.column(name) for name in self._step.names}

    def _require_columns(self, names: Sequence[str]) -> None:
        if missing := next((name for name in self._step.names if name not in names), None):
            raise DlrunError(
                f"{self._label} has no column '{missing}', which the run takes",
                hint=f"it has {', '.join(names[:12])}",
            )

    def _last(self) -> Part:
        """What each series is forecast from; of several, those that can't be are told apart."""
        try:
            last = self._step.last(self._table)
        except ValueError:
            if self._step.options.group is None:
                raise
            return self._last_of_each()
        return Part(last.windows, last.rows + 1, self._label, names=self._names(last))

    def _last_of_each(self) -> Part:
        """The same one series at a time, so that what is wrong with one is of it alone."""
        step = self._step
        found, wrong = [], {}
        for name, table, rows in each_series(self._table, step.options):
            try:
                found.append(step.last(table, rows))
            except ValueError as error:
                wrong[len(found)] = str(error)
                empty = np.zeros((0, step.history, len(step.mean)), np.float32)
                found.append(Last(empty, (name,), rows[-1:]))
        windows, names, rows = zip(*found, strict=True)
        last = Last(np.concatenate(windows), sum(names, ()), np.concatenate(rows))
        return Part(last.windows, last.rows + 1, self._label, wrong=wrong, names=self._names(last))

    def _names(self, last: Last) -> dict[str, Any]:
        """What names the forecasts: their series, and the times that they follow."""
        names: dict[str, Any] = {}
        options = self._step.options
        if options.group is not None:
            names[options.group] = list(last.names)
        if options.time is not None:
            times: pa.Array = self._table[options.time]
            names[options.time] = [times[int(row)].as_py() for row in last.rows]
        return names

    def _windows(self, arranged: Series) -> Iterator[Part]:
        """All windows of which the following rows are there, some at a time."""
        step = self._step
        values = step.standardize(arranged.values)
        needed = step.history + step.horizon
        bounds = zip(arranged.starts[:-1], arranged.starts[1:], strict=True)
        firsts = [np.arange(start, max(start, end - needed + 1)) for start, end in bounds]
        starts = np.concatenate(firsts)
        if not len(starts):
            raise ValueError(f"no series has {needed:,} rows one after the other")
        self._notes = without_window_note(arranged, needed)
        for first in range(0, len(starts), self._request.rows):
            some = starts[first : first + self._request.rows, None]
            after = values[some + step.history + np.arange(step.horizon), : step.targets]
            yield Part(
                values[some + np.arange(step.history)],
                arranged.rows[some[:, 0] + step.history - 1] + 1,
                self._label,
                labels=after.reshape(len(some), -1),
            )
