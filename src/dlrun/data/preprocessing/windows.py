"""The last rows of time series as inputs of a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

from dlrun.data.columns import read_numbers, read_texts
from dlrun.data.tabular.column_types import Cells
from dlrun.data.tabular.column_values import IN_FLOAT32, WrongValueError
from dlrun.data.tabular.series import FILLS, GAPS, Options, arrange
from dlrun.data.tree import Arrays

MAX_COLUMNS = 10_000
MAX_ROWS = 2**20  # of a window


class Last(NamedTuple):
    """The last window of each series.

    Args:
        windows: ``(series, history, columns)`` float32.
        names: The series; empty for a single one without a name.
        rows: The place in the table of the last row of each, from 0, ``(series,)`` int64.
    """

    windows: np.ndarray
    names: tuple[str, ...]
    rows: np.ndarray


@dataclass(frozen=True)
class Windows:
    """Standardize columns of numbers, and take the last rows of each series.

    Other than the other steps, it makes one sample of many rows: it needs a table with all of them.

    Args:
        options: The columns; those to forecast are the first.
        history: Rows of a window.
        horizon: Rows to forecast after it.
        targets: How many of the columns to forecast.
        mean: Of each column, over the training rows.
        deviation: Of each column, of the population; 1 where all are equal.
    """

    options: Options
    history: int
    horizon: int
    targets: int
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """See :class:`dlrun.data.preprocessing.Step`."""
        return self.options.names

    @property
    def cells(self) -> dict[str, Cells]:
        """What each column takes from the cells of a file."""
        numbers = dict.fromkeys(self.options.columns, Cells.NUMBERS)
        return dict.fromkeys(self.names, Cells.VALUES) | numbers

    def standardize(self, values: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Numbers as a model sees them, float32.

        Args:
            values: Rows of all columns, ``(..., columns)``.
            rows: The place of each in the table, from 0, ``(...)`` int64.

        Raises:
            WrongValueError: If float32 does not hold one; names its row.
        """
        with np.errstate(over="ignore"):
            standardized: np.ndarray = ((values - self.mean) / self.deviation).astype(np.float32)
        if (infinite := np.isinf(standardized)).any():
            *place, column = np.argwhere(infinite)[0]
            row, value = int(rows[tuple(place)]), float(values[(*place, column)])
            raise WrongValueError(self.options.columns[column], row, value, IN_FLOAT32)
        return standardized

    def apply(self, inputs: Arrays) -> Arrays:
        """The last window of each series, from which the rows after it are forecast.

        Args:
            inputs: All rows of a table, arrays of pyarrow or NumPy by column.

        Returns:
            ``(series, history, columns)`` float32, in the order of :meth:`last`.

        Raises:
            ValueError: If they are not time series, or too short.
        """
        return self.last(inputs).windows

    def last(
        self,
        inputs: Arrays,
        rows: np.ndarray | None = None,
        usual: Callable[[], float] | None = None,
    ) -> Last:
        """The same windows, and which series and rows they are of.

        Args:
            inputs: As for :meth:`apply`; rows of a table.
            rows: The place of each in the table, from 0, ``(rows,)`` int64; None if all are there.
            usual: As for :func:`dlrun.data.tabular.series.arrange`.

        Raises:
            ValueError: As :meth:`apply`.
        """
        if not isinstance(inputs, Mapping):
            raise ValueError(f"expected columns by name: {', '.join(self.names)}")
        arranged = arrange(inputs, self.options, rows, usual)
        starts, ends = arranged.starts[:-1], arranged.starts[1:]
        names = arranged.names or ("",) * len(ends)
        last = [n for n, name in enumerate(names) if names[n + 1 : n + 2] != (name,)]
        for part in last:
            if (length := int(ends[part] - starts[part])) < self.history:
                of = f"series '{names[part]}'" if arranged.names else "the series"
                raise ValueError(f"{of} ends with {length:,} rows, expected {self.history:,}")
        windows = ends[last, None] + np.arange(-self.history, 0)
        return Last(
            self.standardize(arranged.values[windows], arranged.rows[windows]),
            tuple(names[part] for part in last) if arranged.names else (),
            arranged.rows[ends[last] - 1],
        )

    def state(self) -> dict[str, Any]:
        """See :class:`dlrun.data.preprocessing.Step`."""
        return {
            **asdict(self.options),
            "columns": list(self.options.columns),
            "history": self.history,
            "horizon": self.horizon,
            "targets": self.targets,
            "mean": list(self.mean),
            "deviation": list(self.deviation),
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Windows:
        """See :class:`dlrun.data.preprocessing.Step`."""
        known = {*Options.__dataclass_fields__, *cls.__dataclass_fields__} - {"options"}
        if set(state) != known:
            raise ValueError("windows needs its columns, rows and statistics")
        columns = read_texts(state["columns"])
        mean, deviation = read_numbers(state["mean"]), read_numbers(state["deviation"])
        sizes = [state[name] for name in ("history", "horizon", "targets")]
        if not 0 < len(columns) <= MAX_COLUMNS or not len(columns) == len(mean) == len(deviation):
            raise ValueError("windows needs a mean and a deviation of each column")
        if not all(type(size) is int and 0 < size <= MAX_ROWS for size in sizes):
            raise ValueError("windows needs numbers of rows and columns")
        if sizes[2] > len(columns) or not all(value > 0 for value in deviation):
            raise ValueError("windows has too few columns, or a deviation that is not above 0")
        for name in ("time", "group", "format"):
            if not isinstance(state[name], str | None):
                raise ValueError(f"windows has {name} {state[name]!a:.80}")
        if state["gaps"] not in GAPS or state["fill"] not in (None, *FILLS):
            raise ValueError("windows has an unknown gaps or fill")
        options = Options(
            tuple(columns), *(state[n] for n in ("time", "group", "format", "gaps", "fill"))
        )
        history, horizon, targets = sizes
        return cls(options, history, horizon, targets, tuple(mean), tuple(deviation))
