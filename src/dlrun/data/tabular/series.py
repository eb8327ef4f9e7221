"""Time series in a table: rows in order of time, one series after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from dlrun.data.tabular.column_values import WrongValueError, to_numbers, to_texts
from dlrun.data.tabular.errors import SeriesError
from dlrun.data.tabular.times import check_times, seconds_of

if TYPE_CHECKING:
    import pyarrow as pa

GAPS = ("refuse", "split", "ignore")
FILLS = ("forward",)


@dataclass(frozen=True)
class Options:
    """What the columns of a table of time series are, and how to read it.

    Args:
        columns: The numbers.
        time: The column of times, ascending in each series; None if the rows are in order.
        group: The column that names the series of a row; None for a single series.
        format: Of texts of ``time``, as in ``strptime``; None for ISO 8601.
        gaps: ``refuse``: an error. ``split``: no window crosses one. ``ignore``: the rows follow
            each other, such as working days.
        fill: ``forward``: a missing value is the one before it. None refuses it.
    """

    columns: tuple[str, ...]
    time: str | None = None
    group: str | None = None
    format: str | None = None
    gaps: str = "refuse"
    fill: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """All columns that are read."""
        return tuple(name for name in (self.time, self.group, *self.columns) if name is not None)


@dataclass(frozen=True)
class Series:
    """Rows, series by series in order of their first row, each in order of time.

    Args:
        values: The numbers, ``(rows, columns)`` float64.
        seconds: The time of each row, ``(rows,)`` float64; its number in the series without one.
        rows: The place of each in the table, from 0, ``(rows,)`` int64.
        starts: Where each uninterrupted part begins, and after the last one the end,
            ``(parts + 1,)`` int64.
        names: The series of each part; empty for a single one.
    """

    values: np.ndarray
    seconds: np.ndarray
    rows: np.ndarray
    starts: np.ndarray
    names: tuple[str, ...]


def arrange(
    table: Mapping[str, Any],
    options: Options,
    rows: np.ndarray | None = None,
    usual: Callable[[], float] | None = None,
) -> Series:
    """Put the rows of a table in order.

    Args:
        table: Arrays by column, of pyarrow or NumPy.
        options: What the columns are.
        rows: The place of each row in the table that it is from, from 0, ``(rows,)`` int64; None if
            all rows of it are there.
        usual: Finds the seconds from one row to the next, for a table that is a part of another;
            asked if nothing else is wrong with the times. None for those of most rows here.

    Raises:
        SeriesError: If a value or a time is missing, or a time is not after the one before it, or
            after a gap. Names the row.
        WrongValueError: If a value is not a number, or not a time.
    """
    arrays = {name: array_of(table, name) for name in options.names}
    rows = np.arange(len(arrays[options.columns[0]])) if rows is None else rows
    codes, names = np.zeros(len(rows), np.int64), [""]
    if options.group is not None:
        codes, names = groups_of(options.group, arrays[options.group])
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    try:
        numbers = [to_numbers(name, arrays[name]) for name in options.columns]
        if options.time is None:
            lengths = np.diff([*starts, len(rows)])
            seconds = np.arange(len(rows), dtype=np.float64) - np.repeat(starts, lengths)
        else:
            seconds = seconds_of(options, arrays[options.time], rows)[order]
    except WrongValueError as error:
        row = int(rows[error.row])
        raise WrongValueError(error.column, row, error.value, error.expected) from None
    values = np.stack(numbers, axis=1)[order]
    if options.time is not None:
        times = arrays[options.time]
        starts = check_times(options, times, seconds, (order, rows), starts, usual)
    _fill(options, values, rows[order], starts)
    return Series(
        values,
        seconds,
        rows[order],
        np.append(starts, len(rows)),
        tuple(names[code] for code in codes[order][starts]) if options.group is not None else (),
    )


def without_window_note(series: Series, needed: int) -> list[str]:
    """Which series are too short for a window of so many rows, as a line; none if none are."""
    long: dict[str, bool] = {}
    for name, rows in zip(series.names, np.diff(series.starts).tolist(), strict=False):
        long[name] = long.get(name, False) or rows >= needed
    short = [name for name, is_long in long.items() if not is_long]
    if not short:
        return []
    listed = ", ".join(short[:3]) + (f" and {len(short) - 3:,} more" if len(short) > 3 else "")
    are = f"{len(short):,} series are" if len(short) > 1 else "1 series is"
    return [f"{are} left out, without {needed:,} rows one after the other: {listed}"]


def join(parts: Sequence[Series]) -> Series:
    """Series of several tables, or parts of one, as those of one; there is at least one part."""
    values, seconds, rows = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("values", "seconds", "rows")
    )
    lengths = [length for part in parts for length in np.diff(part.starts).tolist()]
    starts = np.cumsum([0, *lengths], dtype=np.int64)
    return Series(values, seconds, rows, starts, tuple(chain(*(part.names for part in parts))))


def array_of(table: Mapping[str, Any], name: str) -> pa.Array:
    """A column of a table as one array.

    Raises:
        SeriesError: If it is not there.
    """
    import pyarrow as pa

    if name not in table:
        raise SeriesError(f"there is no column '{name}'", f"it has {', '.join(list(table)[:12])}")
    values = table[name]
    if isinstance(values, pa.ChunkedArray):
        return values.combine_chunks()
    return values if isinstance(values, pa.Array) else pa.array(values)


def groups_of(name: str, values: pa.Array) -> tuple[np.ndarray, list[str]]:
    """The number of each row's series, ``(rows,)`` int64, and their names.

    Raises:
        SeriesError: If a row names none.
    """
    if values.null_count:
        row = int(values.is_null().to_numpy(zero_copy_only=False).argmax())
        raise SeriesError(
            f"column '{name}': row {row + 1:,} names no series", "fill it in, or remove the row"
        )
    encoded = to_texts(values).dictionary_encode()
    codes: np.ndarray = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return codes, encoded.dictionary.to_pylist()


def _fill(options: Options, values: np.ndarray, rows: np.ndarray, starts: np.ndarray) -> None:
    """Fill in missing values, in place; never from a later row or from another part."""
    missing = np.isnan(values)
    if not missing.any():
        return
    if options.fill == "forward":
        # The place of the last value before each, or of the beginning of the part.
        places = np.where(missing, 0, np.arange(len(values))[:, None])
        places[starts] = starts[:, None]
        values[:] = np.take_along_axis(values, np.maximum.accumulate(places, axis=0), axis=0)
        missing = np.isnan(values)
        if not missing.any():
            return
    place, column = np.argwhere(missing)[0]
    where = f"column '{options.columns[column]}': row {rows[place] + 1:,} has no value"
    if options.fill is None:
        count = int(missing.sum())
        more = f"; {count:,} are missing in all" if count > 1 else ""
        raise SeriesError(f"{where}{more}", "data.fill=forward takes the value before it")
    raise SeriesError(f"{where}, nor has a row before it", "remove the rows before the first value")
