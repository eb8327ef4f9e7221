"""Write the encoded rows of a table block by block, as the arrays of each split."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import numpy as np

from dlrun.data.duplicates import RowHashes, row_hashes
from dlrun.data.splits import SPLITS
from dlrun.data.tabular.columns import at_row
from dlrun.data.tabular.encode_rows import BatchColumns, RowEncoder
from dlrun.data.tree import leaves, leaves_by_name
from dlrun.system.threads import map_in_order

if TYPE_CHECKING:
    import pyarrow as pa

    from dlrun.data.table import Table

WRITTEN = "written.json"
BLOCK = 2**14  # rows encoded at once; a batch of ten times as many leaves the processor's cache
THREADS = 4  # encode blocks at most; writing their arrays takes a quarter as long as encoding


def write_rows(of: Table, directory: Path, encoder: RowEncoder) -> None:
    """Write the arrays of each split, block by block."""
    import pyarrow as pa

    counts = {split: int((of.splits == code).sum()) for split, code in SPLITS.items()}
    threads = min(pa.cpu_count(), THREADS)
    encode = partial(_encode_block, of, encoder)
    names: list[str | None] = []
    with ExitStack() as stack:
        files: dict[str, ArrayFile] = {}
        hashes = stack.enter_context(RowHashes(directory))
        for block in map_in_order(encode, _blocks(of), threads=threads, ahead=2 * threads):
            names = names or block.inputs
            for split, rows in block.rows.items():
                for (part, name), array in block.arrays.items():
                    file = file_of(split, part, name)
                    if file not in files:
                        opened = stack.enter_context((directory / file).open("wb"))
                        files[file] = ArrayFile(opened, counts[split], array)
                    files[file].write(array.take(rows, axis=0))
                hashes.add(split, block.hashes[rows])
        duplicates = hashes.counts()
    written = {"inputs": names, "duplicates": duplicates}
    (directory / WRITTEN).write_text(json.dumps(written), encoding="utf-8")


class _Block(NamedTuple):
    """Encoded rows: their arrays and hashes, and which of them are in each split."""

    inputs: list[str | None]
    arrays: dict[tuple[str, str | None], np.ndarray]
    hashes: np.ndarray
    rows: dict[str, np.ndarray]


def _blocks(of: Table) -> Iterator[tuple[int, pa.RecordBatch]]:
    """The rows in short blocks, each with the number of its first row."""
    start = 0
    for batch in of.batches():
        for first in range(0, len(batch), BLOCK):
            yield start + first, batch.slice(first, BLOCK)
        start += len(batch)


def _encode_block(of: Table, encoder: RowEncoder, block: tuple[int, pa.RecordBatch]) -> _Block:
    """Encode the rows of all splits at once: arrays are dealt out faster than columns."""
    import pyarrow as pa

    start, batch = block
    codes = of.splits[start : start + len(batch)]
    is_used = codes <= max(SPLITS.values())
    with at_row(of, start, is_used):
        used = BatchColumns(batch, None if is_used.all() else pa.array(is_used))
        inputs, labels, weights = encoder.encode(used)
    named = leaves_by_name(inputs)
    arrays = {("inputs", name): array for name, array in named.items()}
    arrays |= {("labels", name): array for name, array in labels.items()}
    if weights is not None:
        arrays["weights", None] = weights
    arrays["rows", None] = start + np.flatnonzero(is_used)
    rows = {split: np.flatnonzero(codes[is_used] == code) for split, code in SPLITS.items()}
    return _Block(list(named), arrays, row_hashes(leaves(inputs)), rows)


class ArrayFile:
    """An ``.npy`` file that is written row by row.

    Args:
        file: The file.
        rows: How many there will be.
        like: An array with the dtype and the shape of the rows.
    """

    def __init__(self, file: BinaryIO, rows: int, like: np.ndarray) -> None:
        self._file = file
        header = {
            "descr": np.lib.format.dtype_to_descr(like.dtype),
            "fortran_order": False,
            "shape": (rows, *like.shape[1:]),
        }
        np.lib.format.write_array_header_1_0(file, header)

    def write(self, array: np.ndarray) -> None:
        """Write further rows."""
        self._file.write(np.ascontiguousarray(array).data)


def file_of(split: str, part: str, name: str | None) -> str:
    """The name of an array's file; the name of a column may hold anything."""
    suffix = "" if name is None else f"-{name.encode().hex()[:120]}"
    return f"{split}-{part}{suffix}.npy"
