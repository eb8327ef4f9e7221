"""Rows of a table that are read once and in order: to predict, not to train.

Each module reads one format, and is named as in :mod:`dlrun.data.tables`. It has a class ``Rows``,
made of a path and :class:`dlrun.data.tables.TableOptions`, with

- ``names``: the columns, in order. Those of JSON lines are found in the first rows.
- ``blocks(columns, numbers, size)``: an iterator of :class:`Block`.

Unlike in :mod:`dlrun.data.tables`, only some columns are read, a row that can't be read leaves the
others as they are, and no type depends on other rows.
"""

from __future__ import annotations

import importlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from dlrun.data.tables import TableOptions

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Block:
    """Some rows, one after the other.

    Args:
        batch: The rows that could be read; columns of :data:`dlrun.data.tables.TYPES`.
        rows: The number of each in the file, from 1, ``(rows,)`` int64.
        wrong: What is wrong with each row among them that could not, by number.
    """

    batch: pa.RecordBatch
    rows: np.ndarray
    wrong: Mapping[int, str] = field(default_factory=dict)


class Rows(Protocol):
    """The rows of one file."""

    @property
    def names(self) -> Sequence[str]:
        """The columns, in order."""

    def blocks(
        self, columns: Sequence[str], numbers: Collection[str], size: int
    ) -> Iterator[Block]:
        """Read the rows once.

        Args:
            columns: Those to read; each is one of :attr:`names`.
            numbers: The columns among them that should hold numbers.
            size: How many rows to read at once; each block but the last has as many that could be
                read, if the format allows it.

        Raises:
            OSError: If the file can't be read.
            ValueError: If it is damaged.
            DlrunError: If a column is of a type that has no meaning.
        """


def open_rows(path: Path, format: str, options: TableOptions) -> Rows:
    """The rows of a file; ``-`` is the standard input.

    Raises:
        OSError: If the file can't be read.
        ValueError: If it is damaged.
    """
    rows: Rows = importlib.import_module(f"{__name__}.{format}").Rows(path, options)
    return rows


def evenly(blocks: Iterable[Block], size: int) -> Iterator[Block]:
    """The same rows in blocks of one size, but for the last."""
    import pyarrow as pa

    batch: pa.RecordBatch | None = None
    rows, wrong = np.zeros(0, np.int64), dict[int, str]()
    for block in blocks:
        batch = block.batch if batch is None else pa.concat_batches([batch, block.batch])
        rows = np.concatenate([rows, block.rows])
        wrong |= block.wrong
        start = 0
        for start in range(size, len(rows) + 1, size):
            before = {row: why for row, why in wrong.items() if row <= rows[start - 1]}
            yield Block(batch[start - size : start], rows[start - size : start], before)
            wrong = {row: why for row, why in wrong.items() if row not in before}
        batch, rows = batch[start:], rows[start:]
    if batch is not None and (len(rows) or wrong):
        yield Block(batch, rows, wrong)
