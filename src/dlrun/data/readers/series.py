"""Rows of time series, for a run that forecasts them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from dlrun.data.preprocessing.windows import Last, Windows
from dlrun.data.readers import STDIN, Part, Request, refuse_ids
from dlrun.data.readers.arrays import SUFFIXES as ARRAYS
from dlrun.data.readers.table import table_files
from dlrun.data.row_formats import open_rows
from dlrun.data.table_formats import suffixes
from dlrun.data.tabular.column_values import WrongValueError, to_objects
from dlrun.data.tabular.each_series import EachSeries, Result
from dlrun.data.tabular.errors import SeriesError
from dlrun.data.tabular.series import Series, arrange, join, without_window_note
from dlrun.errors import DlrunError
from dlrun.system.packages import require_package


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
        refuse_ids(request, "a forecast is named by its series and its time")
        self._request, self._step = request, step
        self._label = f"{request.key} {request.source}"
        self.files, self._table = self._read()
        self._notes: list[str] = []

    def parts(self) -> Iterator[Part]:
        """See :class:`dlrun.data.readers.Reader`."""
        try:
            yield from self._windows() if self._request.labels else [self._last()]
        except ValueError as error:
            raise DlrunError(f"{self._label}: {error}", hint=_hint(error)) from error

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
        step = self._step
        results = self._of_each(partial(step.last, self._table), step.last)
        found = [
            self._without_window(first) if isinstance(result, ValueError) else result
            for first, result in results
        ]
        # A right one has a window of each series, so that the number of a series is its place.
        errors = {first: error for first, error in results if isinstance(error, ValueError)}
        return self._part(_join(found), errors)

    def _of_each(
        self, of_all: Callable[[], Result], of_some: Callable[..., Result]
    ) -> list[tuple[int, Result | ValueError]]:
        """What a function makes of the series, as :meth:`EachSeries.apply` returns it.

        Args:
            of_all: The function, of the whole table.
            of_some: The same of the columns of some series, their rows and what finds the usual
                step.
        """
        try:
            return [(0, of_all())]
        except ValueError:
            if self._step.options.group is None:
                raise
            each = self._each
            results = each.apply(
                lambda first, end: of_some(
                    each.table(first, end), each.rows(first, end), each.find_usual
                )
            )
            if not any(isinstance(result, ValueError) for _, result in results):
                raise
            return results

    @cached_property
    def _each(self) -> EachSeries:
        return EachSeries(self._table, self._step.options)

    def _without_window(self, number: int) -> Last:
        """A series that is wrong, as what names it."""
        step = self._step
        empty = np.zeros((0, step.history, len(step.mean)), np.float32)
        return Last(empty, (self._each.names[number],), self._each.rows(number, number + 1)[-1:])

    def _part(self, last: Last, errors: Mapping[int, ValueError]) -> Part:
        """Series as samples, some of which are wrong, by their places."""
        return Part(
            last.windows,
            last.rows + 1,
            self._label,
            # The place of a sample names its series.
            wrong={n: str(e).removeprefix(f"series '{last.names[n]}' ") for n, e in errors.items()},
            hints={n: _hint(e) for n, e in errors.items()},
            names=self._names(last),
            series=last.names or None,
        )

    def _names(self, last: Last) -> dict[str, Any]:
        """What names the forecasts: their series, and the times that they follow."""
        names: dict[str, Any] = {}
        options = self._step.options
        if options.group is not None:
            names[options.group] = list(last.names)
        if options.time is not None:
            names[options.time] = to_objects(self._table[options.time].take(last.rows))
        return names

    def _windows(self) -> Iterator[Part]:
        """All windows of which the following rows are there, some at a time.

        The first part is the series that are wrong, if there are any.
        """
        step, options = self._step, self._step.options

        def standardized(table: Mapping[str, Any], *of_some: Any) -> Series:
            series = arrange(table, options, *of_some)
            return replace(series, values=step.standardize(series.values, series.rows))

        results = self._of_each(partial(standardized, self._table), standardized)
        wrong = {first: error for first, error in results if isinstance(error, ValueError)}
        if wrong:
            part = self._part(
                _join([*map(self._without_window, wrong)]), dict(enumerate(wrong.values()))
            )
            yield replace(part, labels=np.zeros((0, step.horizon * step.targets), np.float32))
        right = [result for _, result in results if not isinstance(result, ValueError)]
        if not right:
            return
        arranged = join(right)
        values = arranged.values
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


def _join(found: Sequence[Last]) -> Last:
    windows, names, rows = zip(*found, strict=True)
    return Last(np.concatenate(windows), tuple(chain(*names)), np.concatenate(rows))


def _hint(error: ValueError) -> str:
    """How to mend what is wrong with a table, which the run can't change."""
    if isinstance(error, WrongValueError):
        return "correct it, or remove the row"
    hint = error.hint if isinstance(error, SeriesError) else "add rows to it"
    if hint.startswith("data."):
        return "complete the table: the run was trained without gaps and missing values"
    return hint
