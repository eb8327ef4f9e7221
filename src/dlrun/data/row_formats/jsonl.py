"""Rows of JSON lines, of a file or of the standard input."""

from __future__ import annotations

import io
import itertools
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from dlrun.data.row_formats import Block, as_wanted
from dlrun.data.table_formats import TableOptions
from dlrun.data.table_formats.jsonl import BLOCK, DoubleKeyError, batch_of, object_of
from dlrun.data.tabular.column_types import Cells
from dlrun.errors import shorten

FIRST = 1000  # rows that name the columns
OTHER = ", as rows on standard input are (a CSV needs a file)"


class Rows:
    """See :class:`dlrun.data.row_formats.Rows`."""

    def __init__(self, path: Path, options: TableOptions) -> None:
        self._path, self._options = path, options
        rows = self._rows()
        self._first = list(itertools.islice(rows, FIRST))
        self._rest = rows
        objects = (row for _, row in self._first if isinstance(row, dict))
        self.names: Sequence[str] = list(dict.fromkeys(name for row in objects for name in row))

    def blocks(self, wanted: Mapping[str, Cells], size: int) -> Iterator[Block]:
        """See :class:`dlrun.data.row_formats.Rows`."""
        rows = itertools.chain(self._first, self._rest)
        texts = {name for name, cells in wanted.items() if Cells.TEXTS in cells}
        while part := list(itertools.islice(rows, size)):
            wrong, objects, places = dict[int, str](), [], []
            for number, row in part:
                if isinstance(row, str):
                    wrong[number] = row
                elif not any(name in row for name in wanted):
                    wrong[number] = f"has none of the columns {', '.join(wanted)}"
                elif (refused := _simplify(row, wanted)) is not None:
                    wrong[number] = refused
                else:
                    objects.append(row)
                    places.append(number)
            batch = batch_of(objects, list(wanted), self._options, texts=texts)
            batch = as_wanted(batch, wanted, self._path, self._options)
            yield Block(batch, np.asarray(places, np.int64), wrong)

    def _rows(self) -> Iterator[tuple[int, dict[str, Any] | str]]:
        """Each row with its number, from 1: an object, or what is wrong with it."""
        import pyarrow as pa

        with pa.input_stream(str(self._path)) if str(self._path) != "-" else nullcontext() as file:
            stream = sys.stdin.buffer if file is None else io.BufferedReader(file, BLOCK)
            lines = (line for line in stream if line.strip())
            for number, line in enumerate(lines, 1):
                try:
                    row = json.loads(line, object_pairs_hook=object_of)
                except DoubleKeyError as error:
                    yield number, f"has the key {str(error)!a:.80} twice"
                    continue
                except (ValueError, RecursionError):
                    start = line[:40].rstrip().decode(errors="replace")
                    instead = OTHER if file is None and number == 1 else ""
                    yield number, f"is not JSON{instead}: {start!r}"
                    continue
                is_object = isinstance(row, dict)
                yield number, row if is_object else 'is not an object, such as {"area": 80}'


def _simplify(row: dict[str, Any], wanted: Mapping[str, Cells]) -> str | None:
    """Simplify values that their columns have no place for; returns why another is wrong.

    In columns of texts, lists and objects become texts; in those of numbers, truth values 1 and 0,
    as pyarrow has no column of both.
    """
    for name, cells in wanted.items():
        value = row.get(name)
        if isinstance(value, bool) and cells == Cells.NUMBERS:
            row[name] = int(value)
        if not isinstance(value, dict | list):
            continue
        if Cells.TEXTS in cells:
            row[name] = json.dumps(value)
            continue
        is_list = isinstance(value, list) and Cells.LISTS in cells
        if not is_list or any(isinstance(item, dict | list) for item in value):
            expected = "a list of texts" if Cells.LISTS in cells else "a number or text"
            return f"column '{name}': {shorten(json.dumps(value))} is not {expected}"
    return None
