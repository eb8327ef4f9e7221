"""Rows of a Parquet file, of which only the columns are read that are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dlrun.data.row_formats import Block, TypedRows
from dlrun.data.table_formats import TableOptions


class Rows(TypedRows):
    """See :class:`dlrun.data.row_formats.Rows`."""

    def __init__(self, path: Path, options: TableOptions) -> None:
        super().__init__(path, "parquet", options)

    def _read(self, columns: list[str]) -> Iterator[Block]:
        from pyarrow import parquet

        first = 1
        with parquet.ParquetFile(self._path) as file:
            for batch in file.iter_batches(columns=columns):
                rows = np.arange(first, first + len(batch))
                first += len(batch)
                yield Block(batch.select(columns), rows)
