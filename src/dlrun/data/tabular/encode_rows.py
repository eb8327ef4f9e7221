"""Encode the rows of a table block by block, and write the arrays of each split."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np

from dlrun.data.columns.date import date_format
from dlrun.data.duplicates import RowHashes, row_hashes
from dlrun.data.preprocessing.columns import Columns
from dlrun.data.splits import SPLITS
from dlrun.data.tabular.column_values import WrongValueError, to_weights
from dlrun.data.tabular.columns import correct
from dlrun.data.targets import Target
from dlrun.data.tree import leaves, leaves_by_name
from dlrun.errors import DlrunError
from dlrun.system.threads import map_in_order

if TYPE_CHECKING:
    import pyarrow as pa

    from dlrun.data.table import Table

WRITTEN = "written.json"
BLOCK = 2**14  # rows encoded at once; a batch of ten times as many leaves the processor's cache
THREADS = 4  # encode blocks at most; writing their arrays takes a quarter as long as encoding


def write_rows(
    of: Table, directory: Path, step: Columns, targets: Mapping[str | None, Target]
) -> None:
    """Write the arrays of each split, block by block."""
    import pyarrow as pa

    counts = {split: int((of.splits == code).sum()) for split, code in SPLITS.items()}
    threads = min(pa.cpu_count(), THREADS)
    encode = partial(_encode_block, of, step, targets)
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


def _encode_block(
    of: Table,
    step: Columns,
    targets: Mapping[str | None, Target],
    block: tuple[int, pa.RecordBatch],
) -> _Block:
    """Encode the rows of all splits at once: arrays are dealt out faster than columns."""
    import pyarrow as pa

    start, batch = block
    codes = of.splits[start : start + len(batch)]
    is_used = codes <= max(SPLITS.values())
    with at_row(of, start, is_used):
        used = BatchColumns(batch, None if is_used.all() else pa.array(is_used))
        inputs = step.apply(used)
        labels = {name: target.encode(used) for name, target in targets.items()}
        weights = None if of.weight is None else to_weights(of.weight, used[of.weight])
    named = leaves_by_name(inputs)
    for array in named.values():
        _require_finite(of, array, start, is_used)
    arrays = {("inputs", name): array for name, array in named.items()}
    arrays |= {("labels", name): array for name, array in labels.items()}
    if weights is not None:
        arrays["weights", None] = weights
    arrays["rows", None] = start + np.flatnonzero(is_used)
    rows = {split: np.flatnonzero(codes[is_used] == code) for split, code in SPLITS.items()}
    return _Block(list(named), arrays, row_hashes(leaves(inputs)), rows)


def _require_finite(of: Table, array: np.ndarray, start: int, mask: np.ndarray) -> None:
    """Refuse a value that float32 does not hold, such as 1e300 that is not scaled."""
    if not (finite := np.isfinite(array)).all():
        wrong = int(finite.reshape(len(array), -1).all(axis=1).argmin())
        row = start + int(np.flatnonzero(mask)[wrong])
        raise DlrunError(
            f"data: {of.path}, row {row + 1:,}: a value is too large for float32",
            hint="correct it, or choose numbers.scale=log or quantile",
        )


class BatchColumns(Mapping[str, Any]):
    """A batch as a mapping of its columns.

    Args:
        batch: The batch.
        mask: Which of its rows to take, a ``pyarrow.BooleanArray``; None for all. A column is
            filtered when it is asked for, by whichever thread does.
    """

    def __init__(self, batch: pa.RecordBatch, mask: pa.BooleanArray | None = None) -> None:
        self._batch, self._mask = batch, mask
        self._names = dict.fromkeys(batch.schema.names)  # which makes a list of them each time

    def __getitem__(self, name: str) -> Any:
        column = self._batch.column(name)
        return column if self._mask is None else column.filter(self._mask)

    def __iter__(self) -> Any:
        return iter(self._names)

    def __len__(self) -> int:
        return int(self._batch.num_columns)

    def __contains__(self, name: object) -> bool:
        return name in self._names


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


class at_row:  # noqa: N801 - reads like a function
    """Turn a wrong value into an error that names its row in the table.

    Args:
        of: The table.
        start: The rows before those that are encoded.
        mask: Which of the rows from there are encoded.
        hint: What else mends it.
    """

    def __init__(self, of: Table, start: int, mask: np.ndarray, hint: str = "") -> None:
        self._of, self._start, self._mask, self._hint = of, start, mask, hint

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if isinstance(error, WrongValueError):
            row = self._start + int(np.flatnonzero(self._mask)[error.row])
            raise DlrunError(
                f"data: {self._of.path}: column '{error.column}', row {row + 1:,}:"
                f" {error.value!r:.80} is not {error.expected}",
                hint=_how_to_read(self._of, error) or correct(self._of, error.value) + self._hint,
            ) from error


def _how_to_read(of: Table, error: WrongValueError) -> str | None:
    """The format of a column of dates, as an override; None if it looks like none."""
    is_date = error.expected.startswith("a date")
    form = date_format(of.profiles[error.column].examples) if is_date else None
    return form and f"""'data.columns.{error.column}={{kind: date, format: "{form}"}}'"""


def file_of(split: str, part: str, name: str | None) -> str:
    """The name of an array's file; the name of a column may hold anything."""
    suffix = "" if name is None else f"-{name.encode().hex()[:120]}"
    return f"{split}-{part}{suffix}.npy"
