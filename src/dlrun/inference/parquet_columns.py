"""Columns of predictions as a Parquet file, which has one type for all rows of a column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun.data.tabular.column_values import to_texts
from dlrun.data.tabular.number_types import large_integer
from dlrun.inference.described_columns import INTEGER, NUMBER, TEXT, TEXTS, Columns

if TYPE_CHECKING:
    import pyarrow as pa

ROW_GROUP = 65_536  # rows that are written together


def write_parquet(path: Path, parts: Iterator[Columns]) -> None:
    """Write columns part by part.

    A column without a type of its own has that of its values. Where parts differ, it holds large
    integers if some are beyond 64 bits, and texts if values are of several types.

    Args:
        path: The new file.
        parts: Each has the same columns.

    Raises:
        OSError: If it can't be written.
    """
    file: _File | None = None
    try:
        for part in parts:
            arrays = {name: _array_of(kind, values) for name, (kind, values) in part.items()}
            file = file or _File(path, arrays)
            file.add(arrays)
        if file is not None:
            file.write_waiting()
    finally:
        if file is not None:
            file.close()


class _File:
    """A file to write to.

    Args:
        path: The new file.
        arrays: The columns of the first rows.
    """

    def __init__(self, path: Path, arrays: Mapping[str, pa.Array]) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        types = {name: array.type for name, array in arrays.items()}
        # Until there is a value, which may be of any type.
        self._empty = {name for name, kind in types.items() if pa.types.is_null(kind)}
        self._path = path
        self._schema = pa.schema(types | dict.fromkeys(self._empty, pa.string()))
        self._writer: Any = parquet.ParquetWriter(path, self._schema)
        self._waiting: list[pa.Table] = []

    def add(self, arrays: Mapping[str, pa.Array]) -> None:
        """Add rows, some of which wait until there are many to write."""
        import pyarrow as pa

        for name, array in arrays.items():
            if pa.types.is_null(array.type):
                continue
            known = self._schema.field(name).type
            kind = array.type if name in self._empty else _common_type(known, array.type)
            if kind != known:
                self._change_type(name, kind)
            self._empty.discard(name)
        self._waiting.append(_as_schema(arrays, self._schema))
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

    def _change_type(self, name: str, kind: pa.DataType) -> None:
        """Write all rows so far anew, with another type of a column."""
        from pyarrow import parquet

        self.write_waiting()
        self.close()
        place = self._schema.get_field_index(name)
        self._schema = self._schema.set(place, self._schema.field(name).with_type(kind))
        before = self._path.rename(self._path.with_name(f"{self._path.name}.before"))
        try:
            self._writer = parquet.ParquetWriter(self._path, self._schema)
            with parquet.ParquetFile(before) as written:
                for rows in written.iter_batches():
                    columns = dict(zip(rows.schema.names, rows.columns, strict=True))
                    self._writer.write_table(_as_schema(columns, self._schema))
        finally:
            before.unlink()


def _array_of(kind: str, values: Sequence[Any]) -> pa.Array:
    import pyarrow as pa

    types = {INTEGER: pa.int64(), NUMBER: pa.float64(), TEXT: pa.string()}
    types[TEXTS] = pa.list_(pa.string())
    if kind in types:
        return pa.array(values, types[kind])
    for found in (None, large_integer()):
        try:
            return pa.array(values, found)
        except (OverflowError, pa.ArrowInvalid, pa.ArrowTypeError):
            continue
    return _texts_of(values)


def _common_type(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    """A type that holds the values of both exactly."""
    import pyarrow as pa

    if one == other:
        return one
    integers = {pa.int64(), large_integer()}
    return large_integer() if {one, other} == integers else pa.string()


def _as_schema(arrays: Mapping[str, pa.Array], schema: pa.Schema) -> pa.Table:
    import pyarrow as pa

    return pa.table([_as_type(arrays[field.name], field.type) for field in schema], schema=schema)


def _as_type(array: pa.Array, kind: pa.DataType) -> pa.Array:
    import pyarrow as pa

    if array.type == kind:
        return array
    if array.null_count == len(array):
        return pa.nulls(len(array), kind)
    if kind != pa.string():
        return array.cast(kind)
    return to_texts(array) if _is_simple(array.type) else _texts_of(array.to_pylist())


def _is_simple(kind: pa.DataType) -> bool:
    """Whether pyarrow casts all values of a type to texts: not lists, nor bytes."""
    import pyarrow as pa

    return bool(pa.types.is_primitive(kind) or pa.types.is_decimal(kind))


def _texts_of(values: Sequence[Any]) -> pa.Array:
    """Values of any types as texts: each as if all values were of its type."""
    import pyarrow as pa

    places: dict[type, list[int]] = {}
    for place, value in enumerate(values):
        if value is not None:
            places.setdefault(type(value), []).append(place)
    texts: list[str | None] = [None] * len(values)
    for those in places.values():
        for place, text in zip(those, _texts_of_type([values[p] for p in those]), strict=True):
            texts[place] = text
    return pa.array(texts, pa.string())


def _texts_of_type(values: list[Any]) -> list[str]:
    import pyarrow as pa

    if isinstance(values[0], bytes):
        return [value.decode(errors="backslashreplace") for value in values]
    try:
        array = pa.array(values)
    except (OverflowError, pa.ArrowInvalid, pa.ArrowTypeError):
        return list(map(str, values))
    return to_texts(array).to_pylist() if _is_simple(array.type) else list(map(str, values))
