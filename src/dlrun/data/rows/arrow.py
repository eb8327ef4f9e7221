"""Rows of an Arrow file or stream."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from dlrun.data.column_types import normal_batch
from dlrun.data.rows import Block, evenly
from dlrun.data.tables import TableOptions
from dlrun.data.tables.arrow import batches


class Rows:
    """See :class:`dlrun.data.rows.Rows`."""

    def __init__(self, path: Path, options: TableOptions) -> None:
        import pyarrow as pa

        self._path, self._options = path, options
        with pa.OSFile(str(path)) as source:
            try:
                schema = pa.ipc.open_file(source).schema
            except pa.ArrowInvalid:
                source.seek(0)
                schema = pa.ipc.open_stream(source).schema
        self.names: Sequence[str] = schema.names

    def blocks(
        self, columns: Sequence[str], numbers: Collection[str], size: int
    ) -> Iterator[Block]:
        """See :class:`dlrun.data.rows.Rows`."""
        for block in evenly(self._read(columns), size):
            yield replace(block, batch=normal_batch(block.batch, {}, self._path))

    def _read(self, columns: Sequence[str]) -> Iterator[Block]:
        first = 1
        for batch in batches(self._path, {}, self._options):
            rows = np.arange(first, first + len(batch))
            first += len(batch)
            yield Block(batch.select(columns), rows)
