"""Time series in a table: windows of rows, from which the next rows are forecast."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from dlrun.data.cache import limit_of
from dlrun.data.columns.date import date_format
from dlrun.data.description.table import describe_columns
from dlrun.data.draw_splits import split_rows
from dlrun.data.source import Description
from dlrun.data.splits import SPLITS, SplitOptions
from dlrun.data.table import Table, column_names
from dlrun.data.tabular import cut_windows
from dlrun.data.tabular.column_values import WrongValueError
from dlrun.data.tabular.columns import MOST, correct, require_column, require_numbers
from dlrun.data.tabular.errors import SeriesError
from dlrun.data.tabular.number_types import NUMERIC
from dlrun.data.tabular.profile import IDENTIFIER, ColumnProfile
from dlrun.data.tabular.reading_options import reading_options
from dlrun.data.tabular.series import FILLS, GAPS, Options, Series, arrange, without_window_note
from dlrun.errors import DlrunError

if TYPE_CHECKING:
    from dlrun.data.dataset import Dataset
    from dlrun.data.input_spec import InputSpec

log = logging.getLogger("dlrun")


def timeseries(
    *,
    path: str,
    target: str | Sequence[str],
    time: str | None,
    history: int,
    horizon: int = 1,
    stride: int = 1,
    group: str | None = None,
    covariates: Sequence[str] | None = None,
    time_format: str | None = None,
    gaps: str = "refuse",
    fill: str | None = None,
    validation: float = 0.15,
    test: float = 0.15,
    format: str | None = None,
    delimiter: str | None = None,
    decimal: str = ".",
    missing: Sequence[str] = (),
    limit: int | None = None,
    cache_gb: float = 10.0,
) -> TimeSeries:
    """Windows of the rows of a table, split by time.

    Args:
        path: A file, a folder of files, or a pattern.
        target: The column to forecast, or several.
        time: The column of times, ascending; None if the rows are in order.
        history: Rows that a forecast is made from.
        horizon: Rows that are forecast.
        stride: Rows from one window to the next.
        group: The column that names the series of each row; None if all rows are one series.
        covariates: Other columns of numbers in the history; None for all of them.
        time_format: Of texts of ``time``, as in ``strptime``; None for ISO 8601.
        gaps: As in :class:`dlrun.data.tabular.series.Options`, as is ``fill``.
        fill: How to fill in missing values; None refuses them.
        validation: The share, or the number, of rows to validate on: those before the test.
        test: The share, or the number, of rows to test on: the latest.
        format: A module of :mod:`dlrun.data.table_formats`; None goes by the suffix.
        delimiter: As :func:`dlrun.data.tabular.reading_options.reading_options`, like the next two.
        decimal: The decimal point of a CSV.
        missing: Texts that stand for a missing value.
        limit: Keep the first N windows of each split.
        cache_gb: What the data cache may hold, in GB.

    Raises:
        DlrunError: If an argument is impossible.
    """
    for name, size in (("history", history), ("horizon", horizon), ("stride", stride)):
        if size < 1:
            raise DlrunError(f"data.{name}={size}: must be at least 1")
    for name, value, known in (("gaps", gaps, GAPS), ("fill", fill, (None, *FILLS))):
        if value not in known:
            choices = ", ".join("null" if choice is None else choice for choice in known)
            raise DlrunError(f"data.{name}={value}: expected {choices}")
    time, group = (None if name is None else str(name) for name in (time, group))
    covariates = None if covariates is None else column_names(covariates)
    options = SplitOptions("time", time or "the rows", validation, test)
    options.check()
    targets = column_names(target)
    columns = [*targets, *(covariates or ()), *filter(None, (time, group))]
    if not targets or len(set(columns)) < len(columns):
        raise DlrunError(
            "data.target, data.covariates, data.time and data.group: expected different columns",
            hint="data.target=COLUMN data.time=COLUMN",
        )
    table = Table(
        path=path,
        format=format,
        table_options=reading_options(delimiter, decimal, missing),
        targets=targets,
        kind="regression",
        given={},
        drop=(),
        weight=None,
        split_options=options,
        kind_options={},
        limit=None,
        cache_bytes=limit_of(cache_gb),
    )
    reading = Options((), time, group, time_format, gaps, fill)
    return TimeSeries(table, reading, history, horizon, stride, covariates, limit)


@dataclass(frozen=True)
class TimeSeries:
    """Time series as a :class:`dlrun.data.source.Source`.

    Args:
        table: What the rows are read from.
        reading: What its columns are, but for those of numbers.
        history: As in :func:`timeseries`, like the following.
        horizon: Rows that are forecast.
        stride: Rows from one window to the next.
        covariates: Further columns; None for all numbers.
        limit: Windows to keep of each split.
    """

    table: Table
    reading: Options
    history: int
    horizon: int
    stride: int
    covariates: Sequence[str] | None
    limit: int | None

    @cached_property
    def options(self) -> Options:
        """The columns of numbers, those to forecast first, and how to read them."""
        return replace(self.reading, columns=(*self.table.targets, *_covariates(self)))

    @cached_property
    def arranged(self) -> Series:
        """All rows, in order."""
        return self.arrange(self.options)

    def arrange(self, options: Options) -> Series:
        """All rows in the order of options.

        Raises:
            DlrunError: If they are not time series; names the row.
        """
        import pyarrow as pa

        batches = [batch.select(options.names) for batch in self.table.batches()]
        rows = pa.Table.from_batches(batches)
        columns = {name: rows.column(name) for name in options.names}
        try:
            return arrange(columns, options)
        except SeriesError as error:
            raise DlrunError(f"data: {self.table.path}: {error}", hint=error.hint) from error
        except WrongValueError as error:
            hint = correct(self.table, error.value)
            if error.column == options.time:
                form = date_format(self.table.profiles[error.column].examples) or "%d.%m.%Y"
                hint = f"'data.time_format={form}' if that is how times are written"
            raise DlrunError(f"data: {self.table.path}: {error}", hint=hint) from error

    def splits(self, arranged: Series) -> np.ndarray:
        """The split of each row of the series, ``(rows,)`` uint8; by time, for all series alike."""
        options = self.table.split_options
        return split_rows(len(arranged.seconds), options, values=arranged.seconds)

    def runs(self, arranged: Series) -> dict[int, list[tuple[int, int]]]:
        """The windows of each split.

        Returns:
            For each of TRAIN, VALIDATION and TEST, the first row and the number of windows of each
            uninterrupted part of a series that lies in this split.

        Raises:
            DlrunError: If a window does not fit into a split.
        """
        return cut_windows.runs(self, arranged, self.splits(arranged))

    @cached_property
    def notes(self) -> list[str]:
        """What was decided that one may not expect, one line each."""
        used = {*self.options.names}
        if self.covariates is not None:
            return []
        return [
            f"column '{name}' is left out: {_why_not(profile)}"
            for name, profile in self.table.profiles.items()
            if name not in used
        ]

    def tasks(self) -> Mapping[str | None, str]:
        """See :class:`dlrun.data.source.Source`."""
        cut_windows.check(self)
        return {None: "regression"}

    def describe(self) -> Description:
        """See :class:`dlrun.data.source.Source`."""
        limit = self.limit or np.inf
        counts = {
            split: int(min(sum(windows for _, windows in runs), limit))
            for split, runs in self.runs(self.arranged).items()
        }
        kinds = dict.fromkeys(self.options.columns, "history")
        kinds |= dict.fromkeys(self.table.targets, "target")
        kinds |= {str(self.options.time): "time", str(self.options.group): "group"}
        kinds = {name: kinds.get(name, "left out") for name in self.table.profiles}
        return Description(
            source=self.table.path,
            samples=sum(counts.values()),
            splits={name: counts[code] for name, code in SPLITS.items()},
            columns=describe_columns(self.table, kinds),
            tasks={", ".join(self.table.targets): "regression"},
            notes=[*self.notes, *without_window_note(self.arranged, self.history + self.horizon)],
            explicit=self._explicit(),
        )

    def _explicit(self) -> dict[str, Any]:
        targets, split = self.table.targets, self.table.split_options
        return {
            "path": self.table.path,
            "target": list(targets) if len(targets) > 1 else targets[0],
            "time": self.options.time,
            "group": self.options.group,
            "covariates": list(self.options.columns[len(targets) :]),
            "history": self.history,
            "horizon": self.horizon,
            "stride": self.stride,
            "validation": split.validation,
            "test": split.test,
        }

    def dataset(self, saved: InputSpec | None = None) -> Dataset:
        """See :class:`dlrun.data.source.Source`."""
        for note in self.notes:
            log.info("data   %s", note)
        return cut_windows.dataset(self, saved)


def _covariates(of: TimeSeries) -> list[str]:
    """Columns of the history beside the targets; by their types and names alone, not by values."""
    table, reading = of.table, of.reading
    for key, name in (("data.time", reading.time), ("data.group", reading.group)):
        if name is not None:
            require_column(table, name, key)
    for name in table.targets:
        require_numbers(table, require_column(table, name, "data.target"), "data.target")
    if of.covariates is not None:
        for name in of.covariates:
            profile = require_column(table, name, "data.covariates")
            require_numbers(table, profile, "data.covariates")
        return list(of.covariates)
    aside = {*table.targets, reading.time, reading.group}
    found = []
    for name, profile in table.profiles.items():
        if name in aside:
            continue
        if profile.type == "string" and MOST <= profile.numeric < 1 and profile.wrong:
            require_numbers(table, profile, "data")
        if not _why_not(profile):
            found.append(name)
    return found


def _why_not(profile: ColumnProfile) -> str:
    """Why a column is not taken for a covariate; empty if it is."""
    if profile.type not in (*NUMERIC, "bool"):
        return "it has no numbers"
    if profile.missing == profile.rows:
        return "it has no values"
    if IDENTIFIER.search(profile.name) or re.fullmatch(r"unnamed.*", profile.name, re.IGNORECASE):
        return "it is called like an id; data.covariates=[...] names the columns to take"
    return ""
