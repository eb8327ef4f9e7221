"""Columns of predictions as a Parquet file, which has one type for all rows of a column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun.data.tabular.number_types import large_integer
from dlrun.errors import DlrunError
from dlrun.inference.described_columns import INTEGER, NUMBER, TEXT, TEXTS, Columns

if TYPE_CHECKING:
    import pyarrow as pa

ROW_GROUP = 65_536  # rows that are written together


def write_parquet(path: Path, parts: Iterator[Columns]) -> None:
    """Write columns part by part.

    Args:
        path: The new file.
        parts: Each has the same columns.

    Raises:
        OSError: If it can't be written.
        DlrunError: If a column's values are of several types.
    """
    file: _File | None = None
    try:
        for part in parts:
            file = file or _File(path, _schema_of(part))
            file.add(part)
        if file is not None:
            file.write_waiting()
    finally:
        if file is not None:
            file.close()


class _File:
    """A file to write to.

    Args:
        path: The new file.
        schema: The columns of the first rows.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        from pyarrow import parquet

        self._path, self._schema = path, schema
        self._writer: Any = parquet.ParquetWriter(path, schema)
        self._waiting: list[pa.Table] = []

    def add(self, part: Columns) -> None:
        """Add rows, some of which wait until there are many to write."""
        import pyarrow as pa

        arrays = []
        for name, (_, values) in part.items():
            if self._schema.field(name).type == pa.int64() and _are_large(values):
                self._widen(name)
            arrays.append(_array_of(name, values, self._schema.field(name).type))
        self._waiting.append(pa.Table.from_arrays(arrays, schema=self._schema))
        if sum(map(len, self._waiting)) >= ROW_GROUP:
            self.write_waiting()

    def write_waiting(self) -> None:
        """Write the rows that wait."""
        import pyarrow as pa

        if self._waiting:
            self._writer.write_table(pa.concat_tables(self._waiting))
            self._waiting = []

    def close(self) -> None:
        """Complete the file."""
        self._writer.close()

    def _widen(self, name: str) -> None:
        """Write all rows so far anew, with room in a column for integers beyond 64 bits."""
        from pyarrow import parquet

        self.write_waiting()
        self.close()
        place = self._schema.get_field_index(name)
        self._schema = self._schema.set(place, self._schema.field(name).with_type(large_integer()))
        before = self._path.rename(self._path.with_name(f"{self._path.name}.narrow"))
        try:
            self._writer = parquet.ParquetWriter(self._path, self._schema)
            with parquet.ParquetFile(before) as written:
                for group in range(written.num_row_groups):
                    rows = written.read_row_group(group)
                    self._writer.write_table(rows.cast(self._schema))
        finally:
            before.unlink()


def _schema_of(part: Columns) -> pa.Schema:
    import pyarrow as pa

    types = {INTEGER: pa.int64(), NUMBER: pa.float64(), TEXT: pa.string()}
    types[TEXTS] = pa.list_(pa.string())
    found = {name: types.get(kind) or _type_of(values) for name, (kind, values) in part.items()}
    return pa.schema({n: pa.string() if pa.types.is_null(t) else t for n, t in found.items()})


def _type_of(values: Sequence[Any]) -> pa.DataType:
    import pyarrow as pa

    try:
        return pa.array(values).type
    except OverflowError:  # of integers that 64 bits do not hold
        return large_integer()


def _are_large(values: Sequence[Any]) -> bool:
    """Whether these are integers, some of which 64 bits do not hold."""
    there = [value for value in values if value is not None]
    if not all(type(value) is int for value in there):
        return False
    return any(not -(2**63) <= value < 2**63 for value in there)


def _array_of(name: str, values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    import pyarrow as pa

    try:
        if kind == pa.int64():  # pyarrow would cut a fraction
            floats = (value for value in values if isinstance(value, float))
            if cut := next((value for value in floats if not value.is_integer()), None):
                raise pa.ArrowInvalid(f"{cut} is not an integer")
        return pa.array(values, kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
        raise DlrunError(
            f"--output: column '{name}' holds {kind} and then other values: {error}",
            hint="--output predictions.jsonl",
            exit_code=1,
        ) from error
