"""The series of a table one by one, so that what is wrong with one is of it alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from dlrun.data.tabular.series import Options, array_of, groups_of
from dlrun.data.tabular.times import seconds_of, usual_step

if TYPE_CHECKING:
    import pyarrow as pa

Result = TypeVar("Result")


class EachSeries:
    """The series of a table by their numbers, from 0, in the order of their first rows.

    Args:
        table: Arrays by column, of pyarrow or NumPy; all rows.
        options: What the columns are, with a ``group``.

    Raises:
        SeriesError: If a column is missing, or a row names no series.
    """

    def __init__(self, table: Mapping[str, Any], options: Options) -> None:
        self._options = options
        self._arrays = {name: array_of(table, name) for name in options.names}
        assert options.group is not None
        codes, self.names = groups_of(options.group, self._arrays[options.group])
        self._order = np.argsort(codes, kind="stable")
        starts = np.flatnonzero(np.diff(codes[self._order], prepend=-1))
        self._bounds = np.append(starts, len(codes))

    def __len__(self) -> int:
        return len(self.names)

    def rows(self, first: int, end: int) -> np.ndarray:
        """The place of each row of some series in the table, from 0, ``(rows,)`` int64."""
        rows: np.ndarray = self._order[self._bounds[first] : self._bounds[end]]
        return rows

    def table(self, first: int, end: int) -> dict[str, pa.Array]:
        """The columns of some series, one series after the other, in the order of :meth:`rows`."""
        rows = self.rows(first, end)
        return {name: array.take(rows) for name, array in self._arrays.items()}

    def find_usual(self) -> float:
        """Seconds from one row to the next in most of them, where the times can be read."""
        return self._usual

    @cached_property
    def _usual(self) -> float:
        def find_steps(first: int, end: int) -> np.ndarray:
            rows = self.rows(first, end)
            steps = np.diff(seconds_of(self._options, times.take(rows), rows))
            within = np.ones(len(steps), bool)
            within[self._bounds[first + 1 : end] - self._bounds[first] - 1] = False
            return steps[within & (steps > 0)]

        if self._options.time is None:
            return 0.0
        times = self._arrays[self._options.time]
        found = [of for _, of in self.apply(find_steps) if not isinstance(of, ValueError)]
        return usual_step(np.concatenate([np.zeros(0), *found]))

    def apply(
        self, function: Callable[[int, int], Result]
    ) -> list[tuple[int, Result | ValueError]]:
        """What a function makes of the series, of as many at once as it takes.

        Where it refuses some it is asked about half as many, and where it takes them about twice as
        many of the next. So one wrong series of thousands costs about as much as two more looks at
        all of them, and many cost a look at each.

        Args:
            function: Takes the first series and the end, and raises ValueError if one is wrong.

        Returns:
            The first series of each result, in order; an error is of this series alone.
        """
        found: list[tuple[int, Result | ValueError]] = []
        first, count = 0, len(self)
        while first < len(self):
            end = min(first + count, len(self))
            try:
                found.append((first, function(first, end)))
                first, count = end, 2 * count
            except ValueError as error:
                if count := (end - first) // 2:
                    continue
                found.append((first, error))
                first, count = end, 1
        return found
