"""Rows of a table that are read once and in order: to predict, not to train.

Each module reads one format, and is named as in :mod:`dlrun.data.table_formats`; a format without
one is read by its module there. It has a class ``Rows``, made of a path and
:class:`dlrun.data.table_formats.TableOptions`, with

- ``names``: the columns, in order. Those of JSON lines are found in the first rows.
- ``blocks(wanted, size)``: an iterator of :class:`Block`.

Unlike in :mod:`dlrun.data.table_formats`, only some columns are read, a row that can't be read
leaves the others as they are, and no type depends on other rows.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from dlrun.data.table_formats import TableOptions
from dlrun.data.tabular.column_types import Cells, normal_batch
from dlrun.errors import DlrunError

if TYPE_CHECKING:
    import pyarrow as pa

TIME = r"^\s*([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?\s*$"


@dataclass(frozen=True)
class Block:
    """Some rows, one after the other.

    Args:
        batch: The rows that could be read; columns of
            :data:`dlrun.data.tabular.column_types.TYPES`.
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

    def blocks(self, wanted: Mapping[str, Cells], size: int) -> Iterator[Block]:
        """Read the rows once.

        Args:
            wanted: The columns to read, each one of :attr:`names`, and what the run takes of them.
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
    if find_spec(f"{__name__}.{format}") is None:
        return TypedRows(path, format, options)
    rows: Rows = importlib.import_module(f"{__name__}.{format}").Rows(path, options)
    return rows


class TypedRows:
    """The rows of a format whose columns have types: see :class:`Rows`.

    Args:
        path: The file.
        format: A module of :mod:`dlrun.data.table_formats`.
        options: How to read it.
    """

    def __init__(self, path: Path, format: str, options: TableOptions) -> None:
        reader = importlib.import_module(f"dlrun.data.table_formats.{format}")
        self._path, self._options = path, options
        self._batches: Callable[[], Iterator[pa.RecordBatch]] = partial(
            reader.batches, path, {}, options
        )
        self.names: Sequence[str] = next(self._batches()).schema.names

    def blocks(self, wanted: Mapping[str, Cells], size: int) -> Iterator[Block]:
        """See :class:`Rows`."""
        for block in evenly(self._read(list(wanted)), size):
            batch = as_wanted(block.batch, wanted, self._path, self._options)
            yield replace(block, batch=batch)

    def _read(self, columns: list[str]) -> Iterator[Block]:
        first = 1
        for batch in self._batches():
            rows = np.arange(first, first + len(batch))
            first += len(batch)
            yield Block(batch.select(columns), rows)


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


def as_wanted(
    batch: pa.RecordBatch, wanted: Mapping[str, Cells], path: Path, options: TableOptions
) -> pa.RecordBatch:
    """The batch with columns of :data:`dlrun.data.tabular.column_types.TYPES`, as a run takes them.

    Args:
        batch: Columns of any type.
        wanted: What the run takes of each.
        path: The file, for messages.
        options: Of the table.

    Raises:
        DlrunError: If a column is of a type that has no meaning, or of lists that are not wanted.
    """
    import pyarrow as pa

    batch = normal_batch(batch, {}, path)
    arrays = []
    for name, array in zip(batch.schema.names, batch.columns, strict=True):
        if pa.types.is_list(array.type) and Cells.LISTS not in wanted[name]:
            raise DlrunError(
                f"data: {path}: column '{name}' has lists; expected numbers, texts or dates",
                hint="write its values as numbers or texts",
            )
        is_number = pa.types.is_string(array.type) and Cells.NUMBERS in wanted[name]
        arrays.append(_plain_numbers(array, options) if is_number else array)
    return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)


def _plain_numbers(texts: pa.Array, options: TableOptions) -> pa.Array:
    """Texts of numbers as Python writes them: without the table's decimal point.

    Times of the day become seconds, as those of a table to train on do.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if options.decimal != ".":
        texts = pc.replace_substring(texts, options.decimal, ".")
    if pc.any(is_time := pc.match_substring_regex(texts, TIME)).as_py():
        times = pc.if_else(is_time, texts, pa.scalar(None, pa.string()))
        dates = pc.binary_join_element_wise("1970-01-01", pc.utf8_trim_whitespace(times), "T")
        seconds = dates.cast(pa.timestamp("s")).cast(pa.int64()).cast(pa.string())
        texts = pc.coalesce(seconds, texts)
    return texts
