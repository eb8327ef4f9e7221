"""The few types that the columns of every table have, whatever its format."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Flag, auto
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun.data.tabular.number_types import NUMERIC, is_integer, to_floats, to_integers, wider_of
from dlrun.errors import DlrunError

if TYPE_CHECKING:
    import pyarrow as pa

# By the names of pyarrow. Values of another kind, as structs, are not kept: see other_type().
TYPES = (*NUMERIC, "bool", "string", "timestamp[us]", "list<item: string>")
NOT_UTF8 = "text that is not UTF-8"  # in place of a type: of bytes, most of which are texts
BYTES = ("binary", "large_binary", NOT_UTF8)
SAMPLE = 1000  # of bytes, to tell whether they are texts


class Cells(Flag):
    """What a run takes from the cells of a column, beside one value of :data:`TYPES`.

    Training finds a type from all rows of a table. Rows of a CSV or JSON lines that are read one by
    one have none: the run says what is to be read.
    """

    VALUES = 0
    NUMBERS = auto()  # a text may be a number with the table's decimal point, or a time of the day
    TEXTS = auto()  # a list or object of JSON lines is its text
    LISTS = auto()  # a list of texts


@dataclass
class WiderType(Exception):  # noqa: N818 - a request to begin again, not an error
    """A value that does not fit the type of its column so far.

    Args:
        column: The column's name.
        value: The value, for messages.
        other: The type that the column is to have, if the value does not tell it.
    """

    column: str
    value: str = ""
    other: Any = None


def other_type(name: str) -> pa.StructType:
    """The type of a column whose values nothing reads: of each it is known whether it is missing.

    Args:
        name: Of the type that it has in its file.
    """
    import pyarrow as pa

    return pa.struct([pa.field(name[:200], pa.null())])


def is_other(kind: pa.DataType) -> bool:
    """Whether a type is one of :func:`other_type`, of a column as it is read here."""
    import pyarrow as pa

    return bool(pa.types.is_struct(kind))


def type_name(kind: pa.DataType) -> str:
    """One of :data:`TYPES`, or the name that :func:`other_type` was given."""
    return str(kind.field(0).name) if is_other(kind) else str(kind)


def normal_batch(
    batch: pa.RecordBatch, types: dict[str, Any], path: Path, *, others: bool = False
) -> pa.RecordBatch:
    """The batch with columns of :data:`TYPES` or :func:`other_type`, of ``types`` if known.

    Args:
        batch: Columns of any type.
        types: The types that are known, by column; the others are added.
        path: The file, for messages.
        others: Whether columns of :func:`other_type` may be there.

    Raises:
        DlrunError: If a column is of a type that has no meaning here.
        WiderType: If a value does not fit the type of its column.
    """
    import pyarrow as pa

    arrays = []
    for name, array in zip(batch.schema.names, batch.columns, strict=True):
        is_empty = array.null_count == len(array)
        normal = _normal_array(array, name, path)
        if is_other(normal.type) and not others:
            raise not_read(f"data: {path}: column '{name}'", type_name(normal.type), name, path)
        known = types.setdefault(name, None if is_empty else normal.type)
        if known is not None and is_other(known):
            arrays.append(_presence(array, known))
            continue
        if not is_empty and is_other(normal.type):
            raise WiderType(name, other=normal.type)
        if known is None:  # all missing so far; a later value gives the type
            known = pa.string()
            if not is_empty:
                raise WiderType(name, _first_text(normal))
        if normal.type != known:
            if is_empty:
                normal = pa.nulls(len(array), known)
            elif (holding := wider_of(normal.type, known)) == known:
                normal = to_floats(normal) if pa.types.is_float64(known) else normal.cast(known)
            elif holding is not None:
                raise WiderType(name, other=holding)
            elif pa.types.is_string(known) and not pa.types.is_list(normal.type):
                normal = normal.cast(known)
            else:
                raise WiderType(name, _first_text(normal))
        arrays.append(normal)
    return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)


def not_utf8(
    path: Path, column: str, instead: str = "decode its values, or write the table without it"
) -> DlrunError:
    """The error of a column whose texts have another encoding.

    Args:
        path: Its file.
        column: Its name.
        instead: How to mend it in a file that is no text, for the hint.
    """
    is_text = path.suffix in (".csv", ".tsv", ".txt")
    return DlrunError(
        f"data: {path}: column '{column}' is not UTF-8",
        hint=f"iconv -f latin1 -t utf-8 {path.name} > new{path.suffix}" if is_text else instead,
    )


def not_read(what: str, kind: str, column: str, path: Path) -> DlrunError:
    """The error of a column of :func:`other_type` whose values are needed.

    Args:
        what: Names the column.
        kind: From :func:`type_name`.
        column: Its name.
        path: Its file.
    """
    if kind in BYTES:
        return not_utf8(path, column)
    in_parts = kind.startswith(("struct", "map"))
    return DlrunError(
        f"{what} has type {kind:.80}; expected numbers, texts, dates or lists of texts",
        hint="write its parts as columns of their own"
        if in_parts
        else "write its values as numbers or texts",
    )


def _first_text(array: Any) -> str:
    return str(array.drop_null()[0].as_py())


def _normal_array(array: Any, name: str, path: Path) -> Any:
    """The array in one of :data:`TYPES`, or of :func:`other_type`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = array.type
    if pa.types.is_dictionary(kind):
        array = array.dictionary_decode()
        kind = array.type
    if pa.types.is_null(kind):
        return pa.nulls(len(array), pa.string())
    if is_integer(kind):
        return to_integers(array)
    if pa.types.is_boolean(kind) or str(kind) in ("double", "string"):
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
    other = other_type(str(array.type))
    if target is None:
        return _presence(array, other)
    try:
        return _without_nan(array.cast(target, safe=not pa.types.is_timestamp(array.type)))
    except pa.ArrowNotImplementedError:  # such as a list of structs
        return _presence(array, other)
    except pa.ArrowInvalid as error:
        if target in (pa.string(), pa.list_(pa.string())):  # of bytes that are no UTF-8
            return _presence(array, other_type(NOT_UTF8) if _are_texts(array) else other)
        raise DlrunError(f"data: {path}: column '{name}': {error}") from error


def _presence(array: Any, kind: Any) -> Any:
    """The array as one of :func:`other_type`."""
    import pyarrow as pa

    values = [pa.nulls(len(array))]
    return pa.StructArray.from_arrays(values, fields=list(kind), mask=array.is_null())


def _are_texts(array: Any) -> bool:
    """Whether most of the values are UTF-8."""
    some = array.drop_null()[:SAMPLE].to_pylist()
    return sum(isinstance(value, bytes) and _is_utf8(value) for value in some) > len(some) / 2


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _target_type(kind: Any) -> Any:
    """The type of :data:`TYPES` that holds another type of numbers, texts, dates or lists."""
    import pyarrow as pa

    of = pa.types
    for targets, tests in (
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
