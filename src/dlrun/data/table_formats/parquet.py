"""Parquet files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun.data.table_formats import TableOptions

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIXES = (".parquet", ".pq")
COMPRESSED = False
ROWS = 65_536  # at once


def batches(
    path: Path, types: Mapping[str, Any], options: TableOptions
) -> Iterator[pa.RecordBatch]:
    """See :mod:`dlrun.data.table_formats`."""
    import pyarrow as pa
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        if not file.metadata.num_rows:
            yield pa.RecordBatch.from_pylist([], schema=file.schema_arrow)
        yield from file.iter_batches(ROWS)
