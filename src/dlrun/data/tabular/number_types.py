"""The types of a table's numbers, from the narrowest to the widest."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

LARGE = "decimal128(38, 0)"  # integers that 64 bits do not hold: as float64, two ids may be equal
NUMERIC = ("int64", LARGE, "double")  # by the names of pyarrow
DIGITS = re.compile(r"\s*[+-]?\d{1,38}\s*")  # an integer that LARGE holds


def large_integer() -> pa.DataType:
    """The type :data:`LARGE`."""
    import pyarrow as pa

    return pa.decimal128(38, 0)


def is_integer(kind: pa.DataType) -> bool:
    """Whether a type is of integers: decimals without a fraction are, as databases write them."""
    import pyarrow as pa

    is_whole = pa.types.is_decimal(kind) and kind.scale == 0 and kind.precision <= 38
    return bool(is_whole or pa.types.is_integer(kind))


def to_integers(array: pa.Array) -> pa.Array:
    """Integers of any type as int64, or as :data:`LARGE` if 64 bits do not hold them all."""
    import pyarrow as pa

    if pa.types.is_decimal(array.type):
        array = array.cast(large_integer())  # pyarrow casts none of 32 bits to int64
    try:
        return array.cast(pa.int64())
    except pa.ArrowInvalid:
        return array.cast(large_integer())


def wider_type(known: Any, value: str) -> Any:
    """The next wider type of a column, for a text that its type so far does not hold.

    Args:
        known: The type so far; None for none.
        value: The text; of a column of texts if it is no number.
    """
    import pyarrow as pa

    holding = _holding()
    wider = list(holding)
    if known is not None:
        wider = wider[wider.index(known) + 1 :] if known in holding else []
    return next((kind for kind in wider if holding[kind](value)), pa.string())


def wider_of(one: pa.DataType, other: pa.DataType) -> Any:
    """The wider of two types of numbers; None if one is of others."""
    types = list(_holding())
    return max(one, other, key=types.index) if one in types and other in types else None


def to_floats(numbers: pa.Array) -> pa.Array:
    """Numbers of :data:`NUMERIC`, or truth values, as float64; each the nearest one."""
    import pyarrow as pa

    if not pa.types.is_decimal(numbers.type):
        return numbers.cast(pa.float64(), safe=False)
    try:
        return numbers.cast(pa.int64()).cast(pa.float64(), safe=False)
    except pa.ArrowInvalid:  # pyarrow's own cast of decimals rounds twice
        return numbers.cast(pa.string()).cast(pa.float64())


def _holding() -> dict[Any, Callable[[str], bool]]:
    """For each type, from the narrowest, whether it holds the number that a text is."""
    import pyarrow as pa

    return {pa.int64(): _is_int64, large_integer(): _is_large, pa.float64(): _is_number}


def _is_int64(value: str) -> bool:
    return DIGITS.fullmatch(value) is not None and -(2**63) <= int(value) < 2**63


def _is_large(value: str) -> bool:  # a smaller one that is refused, such as +5, is a number
    return DIGITS.fullmatch(value) is not None and not _is_int64(value)


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True
