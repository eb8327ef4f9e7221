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
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from dlrun.data.table_formats import TableOptions
from dlrun.data.tabular.column_types import normal_batch
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


class Wanted(NamedTuple):
    """The columns that a run takes, and what some of them should hold.

    Args:
        columns: All of them, each once.
        numbers: Those of numbers.
        lists: Those that may hold lists of texts.
        texts: Those of texts, among which training takes a list or an object of JSON lines for its
            text.
    """

    columns: Sequence[str]
    numbers: Collection[str] = ()
    lists: Collection[str] = ()
    texts: Collection[str] = ()


class Rows(Protocol):
    """The rows of one file."""

    @property
    def names(self) -> Sequence[str]:
        """The columns, in order."""

    def blocks(self, wanted: Wanted, size: int) -> Iterator[Block]:
        """Read the rows once.

        Args:
            wanted: The columns to read; each is one of :attr:`names`.
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
        self._path = path
        self._batches: Callable[[], Iterator[pa.RecordBatch]] = partial(
            reader.batches, path, {}, options
        )
        self.names: Sequence[str] = next(self._batches()).schema.names

    def blocks(self, wanted: Wanted, size: int) -> Iterator[Block]:
        """See :class:`Rows`."""
        import pyarrow as pa

        for block in evenly(self._read(wanted.columns), size):
            batch = normal_batch(block.batch, {}, self._path)
            for name, array in zip(batch.schema.names, batch.columns, strict=True):
                if pa.types.is_list(array.type) and name not in wanted.lists:
                    raise DlrunError(
                        f"data: {self._path}: column '{name}' has lists; expected numbers, texts or"
                        " dates",
                        hint="write its values as numbers or texts",
                    )
            yield replace(block, batch=batch)

    def _read(self, columns: Sequence[str]) -> Iterator[Block]:
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


def read_numbers(
    batch: pa.RecordBatch, numbers: Collection[str], options: TableOptions
) -> pa.RecordBatch:
    """The batch with texts of numbers as Python writes them: without the table's decimal point.

    Times of the day become seconds, as those of a table to train on do.

    Args:
        batch: Columns of any type; those of texts are changed.
        numbers: The columns that should hold numbers.
        options: Of the table.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    arrays = []
    for name, array in zip(batch.schema.names, batch.columns, strict=True):
        texts = array
        if name in numbers and pa.types.is_string(array.type):
            if options.decimal != ".":
                texts = pc.replace_substring(texts, options.decimal, ".")
            if pc.any(is_time := pc.match_substring_regex(texts, TIME)).as_py():
                times = pc.if_else(is_time, texts, pa.scalar(None, pa.string()))
                dates = pc.binary_join_element_wise(
                    "1970-01-01", pc.utf8_trim_whitespace(times), "T"
                )
                seconds = dates.cast(pa.timestamp("s")).cast(pa.int64()).cast(pa.string())
                texts = pc.coalesce(seconds, texts)
        arrays.append(texts)
    return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)
