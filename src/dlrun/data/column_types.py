"""The few types that the columns of every table have, whatever its format."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun.errors import DlrunError

if TYPE_CHECKING:
    import pyarrow as pa

# int64, double, bool, string, timestamp[us], and list<string>, by the names of pyarrow.
TYPES = ("int64", "double", "bool", "string", "timestamp[us]", "list<item: string>")


@dataclass
class WiderType(Exception):  # noqa: N818 - a request to begin again, not an error
    """A value that does not fit the type of its column so far.

    Args:
        column: The column's name.
        value: The value, for messages.
    """

    column: str
    value: str = ""


def wider_type(known: Any, value: str) -> Any:
    """The next wider type of a column: from integers to numbers to text."""
    import pyarrow as pa

    kinds = {pa.int64(): int, pa.float64(): float}
    for kind, parse in kinds.items():
        if known is None or (known == pa.int64() and kind != known):
            try:
                parse(value)
            except ValueError:
                continue
            return kind
    return pa.string()


def normal_batch(batch: pa.RecordBatch, types: dict[str, Any], path: Path) -> pa.RecordBatch:
    """The batch with columns of :data:`TYPES`, in the types of ``types`` if they are known.

    Raises:
        DlrunError: If a column is of a type that has no meaning here.
        WiderType: If a value does not fit the type of its column.
    """
    import pyarrow as pa

    arrays = []
    for name, array in zip(batch.schema.names, batch.columns, strict=True):
        is_empty = array.null_count == len(array)
        normal = _normal_array(array, name, path)
        known = types.setdefault(name, None if is_empty else normal.type)
        if known is None:  # all missing so far; a later value gives the type
            known = pa.string()
            if not is_empty:
                raise WiderType(name, _first_text(normal))
        if normal.type != known:
            if is_empty:
                normal = pa.nulls(len(array), known)
            elif pa.types.is_int64(normal.type) and pa.types.is_float64(known):
                normal = normal.cast(known, safe=False)
            elif pa.types.is_string(known) and not pa.types.is_list(normal.type):
                normal = normal.cast(known)
            else:
                raise WiderType(name, _first_text(normal))
        arrays.append(normal)
    return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)


def not_utf8(path: Path, column: str) -> DlrunError:
    """The error of a column whose texts have another encoding."""
    is_text = path.suffix in (".csv", ".tsv", ".txt")
    return DlrunError(
        f"data: {path}: column '{column}' is not UTF-8",
        hint=f"iconv -f latin1 -t utf-8 {path.name} > new{path.suffix}"
        if is_text
        else "decode its values, or write the table without it",
    )


def _first_text(array: Any) -> str:
    return str(array.drop_null()[0].as_py())


def _normal_array(array: Any, name: str, path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = array.type
    if pa.types.is_dictionary(kind):
        array = array.dictionary_decode()
        kind = array.type
    if pa.types.is_null(kind):
        return pa.nulls(len(array), pa.string())
    if pa.types.is_boolean(kind) or kind in (pa.int64(), pa.float64(), pa.string()):
        return _without_nan(array)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        try:
            return array.cast(pa.string())
        except pa.ArrowInvalid as error:
            raise not_utf8(path, name) from error
    if pa.types.is_time(kind) or pa.types.is_duration(kind):
        # In seconds, whatever the unit of the file.
        unit = pa.time64("us") if pa.types.is_time(kind) else pa.duration("us")
        micros = array.cast(unit, safe=False).cast(pa.int64()).cast(pa.float64(), safe=False)
        return pc.divide(micros, 1e6)
    target = _target_type(kind)
    if target is None:
        raise DlrunError(
            f"data: {path}: column '{name}' has type {kind}; expected numbers, texts, dates or"
            " lists",
            hint="write the table without it, or its parts as columns of their own",
        )
    try:
        return _without_nan(array.cast(target, safe=not pa.types.is_timestamp(kind)))
    except pa.ArrowInvalid as error:
        raise DlrunError(f"data: {path}: column '{name}': {error}") from error


def _target_type(kind: Any) -> Any:
    """The type of :data:`TYPES` that holds another type of numbers, texts, dates or lists."""
    import pyarrow as pa

    of = pa.types
    for targets, tests in (
        (pa.int64(), (of.is_integer,)),
        (pa.float64(), (of.is_floating, of.is_decimal)),
        (pa.string(), (of.is_large_string, of.is_string_view)),
        (pa.timestamp("us"), (of.is_timestamp, of.is_date)),
        (pa.list_(pa.string()), (of.is_list, of.is_large_list)),
    ):
        if any(test(kind) for test in tests):
            return targets
    return None


def _without_nan(array: Any) -> Any:
    """The array with NaN as missing, as pandas means it."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_float64(array.type) and pc.any(is_nan := pc.is_nan(array)).as_py():
        return pc.if_else(is_nan, pa.scalar(None, pa.float64()), array)
    return array
