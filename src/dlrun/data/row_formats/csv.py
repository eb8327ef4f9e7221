"""Rows of a CSV: columns as texts, so that a wrong value is wrong in its row alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dlrun.data.row_formats import Block, as_wanted, evenly
from dlrun.data.table_formats import TableOptions
from dlrun.data.table_formats.csv import check_last_value, convert_options, header
from dlrun.data.tabular.column_types import Cells

BLOCK = 2**20  # bytes parsed at once


class Rows:
    """See :class:`dlrun.data.row_formats.Rows`."""

    def __init__(self, path: Path, options: TableOptions) -> None:
        self._path, self._options = path, options
        self._head = header(path, options)
        self.names = self._head.names

    def blocks(self, wanted: Mapping[str, Cells], size: int) -> Iterator[Block]:
        """See :class:`dlrun.data.row_formats.Rows`."""
        for block in evenly(self._read(list(wanted)), size):
            batch = as_wanted(block.batch, wanted, self._path, self._options)
            yield replace(block, batch=batch)

    def _read(self, columns: list[str]) -> Iterator[Block]:
        import pyarrow as pa
        from pyarrow import csv

        wrong: dict[int, str] = {}
        skipped = self._head.skipped
        last_column = self.names[-1]
        with_last = last_column not in columns and self.names.count(last_column) == 1
        read = [*columns, *([last_column] if with_last else [])]

        def note(row: Any) -> str:  # pyarrow counts the skipped lines and the names too
            wrong[row.number - 1 - skipped] = (
                f"has {row.actual_columns} values, not {row.expected_columns}"
            )
            return "skip"

        reader = csv.open_csv(
            self._path,
            # In one thread, in which a row that is wrong knows its number.
            read_options=csv.ReadOptions(block_size=BLOCK, use_threads=False, skip_rows=skipped),
            parse_options=self._head.parse_options(
                newlines_in_values=True, invalid_row_handler=note
            ),
            convert_options=convert_options(
                self._options, include_columns=read, column_types=dict.fromkeys(read, pa.string())
            ),
        )
        first, end = 1, None
        with reader:
            for batch in reader:
                # Wrong rows may be known that come after this batch, and none is unknown before.
                places = np.arange(first, first + len(batch) + len(wrong))
                rows = places[~np.isin(places, list(wrong))][: len(batch)]
                last = int(rows[-1]) if len(rows) else first - 1
                before = {row: wrong.pop(row) for row in sorted(wrong) if row <= last}
                first = last + 1
                if len(batch) and last_column in read:
                    end = batch.column(last_column)[-1].as_py()
                yield Block(batch.select(columns), rows, before)
            check_last_value(self._path, end, first - 1)
            if wrong:
                empty = pa.RecordBatch.from_pydict(
                    {name: pa.array([], pa.string()) for name in columns}
                )
                yield Block(empty, np.zeros(0, np.int64), wrong)
