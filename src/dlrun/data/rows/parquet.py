"""Rows of a Parquet file."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from dlrun.data.column_types import normal_batch
from dlrun.data.rows import Block, evenly
from dlrun.data.tables import TableOptions


class Rows:
    """See :class:`dlrun.data.rows.Rows`."""

    def __init__(self, path: Path, options: TableOptions) -> None:
        from pyarrow import parquet

        self._path = path
        with parquet.ParquetFile(path) as file:
            self.names: Sequence[str] = file.schema_arrow.names

    def blocks(
        self, columns: Sequence[str], numbers: Collection[str], size: int
    ) -> Iterator[Block]:
        """See :class:`dlrun.data.rows.Rows`."""
        for block in evenly(self._read(columns), size):
            yield replace(block, batch=normal_batch(block.batch, {}, self._path))

    def _read(self, columns: Sequence[str]) -> Iterator[Block]:
        from pyarrow import parquet

        first = 1
        with parquet.ParquetFile(self._path) as file:
            for batch in file.iter_batches(columns=list(columns)):
                rows = np.arange(first, first + len(batch))
                first += len(batch)
                yield Block(batch.select(columns), rows)
