"""ORC files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun.data.table_formats import TableOptions

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIXES = (".orc",)
COMPRESSED = False


def batches(
    path: Path, types: Mapping[str, Any], options: TableOptions
) -> Iterator[pa.RecordBatch]:
    """See :mod:`dlrun.data.table_formats`; a batch is a stripe, whatever its size."""
    import pyarrow as pa
    from pyarrow import orc

    file = orc.ORCFile(path)
    if not file.nstripes:
        yield pa.RecordBatch.from_pylist([], schema=file.schema)
    for number in range(file.nstripes):
        yield file.read_stripe(number)
