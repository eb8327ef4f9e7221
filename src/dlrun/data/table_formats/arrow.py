"""Arrow files, also called Feather, and Arrow streams."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun.data.table_formats import TableOptions

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIXES = (".arrow", ".feather", ".ipc")
COMPRESSED = False


def batches(
    path: Path, types: Mapping[str, Any], options: TableOptions
) -> Iterator[pa.RecordBatch]:
    """See :mod:`dlrun.data.table_formats`."""
    import pyarrow as pa

    # Not memory-mapped: the pages would count as memory of the process.
    with pa.OSFile(str(path)) as source:
        try:
            file = pa.ipc.open_file(source)
        except pa.ArrowInvalid:
            source.seek(0)
            stream = pa.ipc.open_stream(source)
            yield pa.RecordBatch.from_pylist([], schema=stream.schema)
            yield from stream
            return
        if not file.num_record_batches:
            yield pa.RecordBatch.from_pylist([], schema=file.schema)
        for number in range(file.num_record_batches):
            yield file.get_batch(number)
