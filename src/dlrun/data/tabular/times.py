"""The times of the rows of series: in seconds, in order, and where there are gaps."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from dlrun.data.tabular.column_values import to_numbers, to_seconds
from dlrun.data.tabular.errors import SeriesError

if TYPE_CHECKING:
    import pyarrow as pa

    from dlrun.data.tabular.series import Options

GAP = 1.5  # times the usual step; months differ by a tenth
UNITS = ((86_400, "days"), (3_600, "hours"), (60, "minutes"), (1, "seconds"))


def seconds_of(options: Options, times: pa.Array, rows: np.ndarray) -> np.ndarray:
    """The time of each row in seconds, or its number, ``(rows,)`` float64.

    Args:
        options: What the columns are.
        times: As they are written.
        rows: The place of each in the table, for messages.

    Raises:
        SeriesError: If a row has no time.
        WrongValueError: If a value is no time.
    """
    assert options.time is not None
    if _is_numeric(times):
        seconds = to_numbers(options.time, times)
    else:
        seconds = to_seconds(options.time, times, options.format)
    if (missing := np.isnan(seconds)).any():
        raise SeriesError(
            f"column '{options.time}': row {rows[missing.argmax()] + 1:,} has no time",
            "fill it in, or remove the row",
        )
    return seconds


def check_times(
    options: Options,
    times: pa.Array,
    seconds: np.ndarray,
    places: tuple[np.ndarray, np.ndarray],
    starts: np.ndarray,
    find_usual: Callable[[], float] | None,
) -> np.ndarray:
    """Where each uninterrupted part begins.

    Args:
        options: What the columns are.
        times: As they are written, in the order of the table.
        seconds: The same in the order of the series, as all that follows.
        places: Of each row in ``times``, and of each of these in the table, for messages.
        starts: Where each series begins.
        find_usual: Of the usual step in seconds; None for that of these.

    Raises:
        SeriesError: If a time is not after the one before it, or after a gap.
    """
    order, rows = places
    steps = np.diff(seconds, prepend=np.nan)
    steps[starts] = np.nan  # of another series

    def describe_row(place: int) -> tuple[str, str, str]:
        row, before = order[place], order[place - 1]
        number, number_before = (f"row {rows[of] + 1:,}" for of in (row, before))
        return f"{number}: {times[row]}", f"{times[before]}", number_before

    if (wrong := steps <= 0).any():
        row, before, place = describe_row(int(wrong.argmax()))
        series = "" if options.group else "; data.group=COLUMN if it has several series"
        if (steps == 0)[wrong.argmax()]:
            raise SeriesError(
                f"column '{options.time}': {row} is there twice, first in {place}",
                f"remove one of the rows{series}",
            )
        raise SeriesError(
            f"column '{options.time}': {row} comes after {before}",
            f"sort the table by its time{series}",
        )
    usual = usual_step(steps) if find_usual is None else find_usual()
    gaps = steps > GAP * usual
    if options.gaps == "ignore" or not gaps.any():
        return starts
    if options.gaps == "split":
        return np.union1d(starts, np.flatnonzero(gaps))
    first = int(gaps.argmax())
    row, before, _ = describe_row(first)
    more = f"; {int(gaps.sum()):,} such gaps" if gaps.sum() > 1 else ""
    raise SeriesError(
        f"column '{options.time}': {row} comes {_span(steps[first], times)} after {before}, the"
        f" usual step is {_span(usual, times)}{more}",
        "data.gaps=split, so that no window crosses a gap, or data.gaps=ignore for rows such as"
        " working days",
    )


def usual_step(steps: np.ndarray) -> float:
    """The median of some seconds; 0 if there are none."""
    return float(np.nanmedian(steps)) if np.isfinite(steps).any() else 0.0


def _is_numeric(times: pa.Array) -> bool:
    import pyarrow as pa

    of = pa.types
    return any(test(times.type) for test in (of.is_integer, of.is_decimal, of.is_floating))


def _span(seconds: float, times: pa.Array) -> str:
    if _is_numeric(times):
        return f"{seconds:g}"
    size, unit = next((u for u in UNITS if seconds >= u[0]), UNITS[-1])
    count = seconds / size
    return f"{count:.3g} {unit if count != 1 else unit[:-1]}"
