"""The few types that the columns of every table have, whatever its format."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun.errors import DlrunError

if TYPE_CHECKING:
    import pyarrow as pa

# int64, double, bool, string, timestamp[us], list<string>, and null, for values of another kind, as
# structs, which are not kept; by the names of pyarrow.
OTHER = "null"
TYPES = ("int64", "double", "bool", "string", "timestamp[us]", "list<item: string>", OTHER)


@dataclass
class WiderType(Exception):  # noqa: N818 - a request to begin again, not an error
    """A value that does not fit the type of its column so far.

    Args:
        column: The column's name.
        value: The value, for messages.
        is_other: Whether the column is of type ``OTHER``, whatever it has besides.
    """

    column: str
    value: str = ""
    is_other: bool = False


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


def normal_batch(
    batch: pa.RecordBatch, types: dict[str, Any], path: Path, *, others: bool = False
) -> pa.RecordBatch:
    """The batch with columns of :data:`TYPES`, in the types of ``types`` if they are known.

    Args:
        batch: Columns of any type.
        types: The types that are known, by column; the others are added.
        path: The file, for messages.
        others: Whether columns of type ``OTHER`` may be there.

    Raises:
        DlrunError: If a column is of a type that has no meaning here.
        WiderType: If a value does not fit the type of its column.
    """
    import pyarrow as pa

    arrays = []
    for name, array in zip(batch.schema.names, batch.columns, strict=True):
        is_empty = array.null_count == len(array)
        normal = _normal_array(array, name, path)
        if normal is None:
            if not others:
                raise _other_type(array.type, name, path)
            normal = pa.nulls(len(array))
        known = types.setdefault(name, None if is_empty else normal.type)
        if known is not None and pa.types.is_null(known):
            arrays.append(pa.nulls(len(array)))
            continue
        if not is_empty and pa.types.is_null(normal.type):
            raise WiderType(name, is_other=True)
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


def _other_type(kind: Any, column: str, path: Path) -> DlrunError:
    """The error of a column of type ``OTHER`` where it may not be."""
    import pyarrow as pa

    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return not_utf8(path, column)
    return DlrunError(
        f"data: {path}: column '{column}' has type {kind}; expected numbers, texts, dates or lists",
        hint="write its parts as columns of their own",
    )


def _first_text(array: Any) -> str:
    return str(array.drop_null()[0].as_py())


def _normal_array(array: Any, name: str, path: Path) -> Any:
    """The array in one of :data:`TYPES`, None for ``OTHER``."""
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
    if pa.types.is_time(kind) or pa.types.is_duration(kind):
        # In seconds, whatever the unit of the file.
        unit = pa.time64("us") if pa.types.is_time(kind) else pa.duration("us")
        micros = array.cast(unit, safe=False).cast(pa.int64()).cast(pa.float64(), safe=False)
        return pc.divide(micros, 1e6)
    return _cast(array, name, path)


def _cast(array: Any, name: str, path: Path) -> Any:
    """As :func:`_normal_array`, of a type that pyarrow casts."""
    import pyarrow as pa

    target = _target_type(array.type)
    if target is None:
        return None
    try:
        return _without_nan(array.cast(target, safe=not pa.types.is_timestamp(array.type)))
    except pa.ArrowNotImplementedError:  # such as a list of structs
        return None
    except pa.ArrowInvalid as error:
        if target == pa.int64():  # as numbers, different ids and classes would become one
            return array.cast(pa.string())
        if target in (pa.string(), pa.list_(pa.string())):  # of bytes that are no UTF-8
            return None
        raise DlrunError(f"data: {path}: column '{name}': {error}") from error


def _target_type(kind: Any) -> Any:
    """The type of :data:`TYPES` that holds another type of numbers, texts, dates or lists."""
    import pyarrow as pa

    of = pa.types
    if of.is_decimal(kind) and kind.scale <= 0:
        return pa.int64()
    for targets, tests in (
        (pa.int64(), (of.is_integer,)),
        (pa.float64(), (of.is_floating, of.is_decimal)),
        (pa.string(), (of.is_large_string, of.is_string_view, of.is_binary, of.is_large_binary)),
        (pa.timestamp("us"), (of.is_timestamp, of.is_date)),
        (pa.list_(pa.string()), (of.is_list, of.is_large_list, of.is_fixed_size_list)),
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
