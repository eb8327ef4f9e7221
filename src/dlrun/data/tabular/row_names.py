"""What a user knows the rows of a table by: the values of a column of ids."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Sequence
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any, overload

from dlrun.data.tabular.profile import IDENTIFIER


def find_ids(names: Iterable[str], used: Collection[str]) -> list[str]:
    """The columns that are called id, or like it, and that the model neither takes nor predicts."""
    return [name for name in names if IDENTIFIER.search(name) and name not in used]


class RowNames(Sequence[str]):
    """The values of a column, each read from the table when it is asked for.

    Args:
        path: An Arrow file.
        column: The column; a row without a value is called by its number, counted from 1.
    """

    def __init__(self, path: Path, column: str) -> None:
        self._path, self._column = path, column

    @cached_property
    def _parts(self) -> list[Any]:
        import pyarrow as pa

        # Mapped, not read: a few of the rows are asked for.
        with pa.ipc.open_file(pa.memory_map(str(self._path))) as file:
            batches = [file.get_batch(number) for number in range(file.num_record_batches)]
        return [batch.column(self._column) for batch in batches]

    @cached_property
    def _ends(self) -> list[int]:
        return list(accumulate(map(len, self._parts)))

    def __len__(self) -> int:
        return self._ends[-1]

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> list[str]: ...
    def __getitem__(self, row: int | slice) -> str | list[str]:
        if isinstance(row, slice):
            return [self[number] for number in range(*row.indices(len(self)))]
        part = bisect_right(self._ends, row)
        value = self._parts[part][row - (self._ends[part - 1] if part else 0)].as_py()
        return f"row {row + 1}" if value is None else str(value)
