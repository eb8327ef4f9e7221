"""Values of a table's column: as numbers, truth values, times, texts, and places in a list."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from dlrun.data.tabular.column_types import Cells
from dlrun.data.tabular.number_types import to_floats

if TYPE_CHECKING:
    import pyarrow as pa

TRUE, FALSE = ("true", "yes", "y", "t", "1"), ("false", "no", "n", "f", "0")
WHOLE = re.compile(r"\s*([+-]?\d{1,1000})(\.0*)?\s*")  # 7, 007 and 7.0, of any size
FLOAT32, IN_FLOAT32 = float(np.finfo(np.float32).max), "a number that float32 holds"
ZONE = r":\d\d.*(Z|[+-]\d\d(:?\d\d)?)$"


class WrongValueError(ValueError):
    """A value that is not of its column's kind.

    Args:
        column: The column.
        row: The row within the batch, from 0.
        value: The value.
        expected: What it should be.
    """

    def __init__(self, column: str, row: int, value: Any, expected: str) -> None:
        value = int(value) if isinstance(value, Decimal) else value
        self.column, self.row, self.value, self.expected = column, row, value, expected
        super().__init__(
            f"column '{column}': row {row + 1:,} is {value!r:.80}, expected {expected}"
        )

    @property
    def problem(self) -> str:
        """What is wrong, for a message that says where."""
        return f"{self.value!r:.80} is not {self.expected}"


def to_numbers(name: str, values: pa.Array) -> np.ndarray:
    """The values as float64 ``(rows,)``, NaN where one is missing.

    Raises:
        WrongValueError: If one is not a finite number; names the first such row.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_string(values.type):
        try:
            numbers = _parse_numbers(values)
        except pa.ArrowInvalid:
            row = first_refused(values, _parse_numbers)
            raise WrongValueError(name, row, values[row].as_py(), "a number") from None
    elif pa.types.is_timestamp(values.type) or pa.types.is_list(values.type):
        raise WrongValueError(name, 0, values[0].as_py(), "a number")
    else:
        numbers = to_floats(values)
    # Filled before: pyarrow goes to NumPy's arrays value by value where some are missing.
    array: np.ndarray = pc.fill_null(numbers, np.nan).to_numpy(zero_copy_only=False)
    infinite = np.isinf(array)
    if infinite.any():
        row = int(infinite.argmax())
        raise WrongValueError(name, row, float(array[row]), "a finite number")
    return array


def to_weights(name: str, values: pa.Array) -> np.ndarray:
    """The weights of samples, float32 ``(rows,)``.

    Raises:
        WrongValueError: If one is not a number from 0 that float32 holds; names the first such row.
    """
    weights = to_numbers(name, values)
    if (wrong := ~((weights >= 0) & (weights <= FLOAT32))).any():
        row = int(wrong.argmax())
        value = None if np.isnan(weights[row]) else float(weights[row])
        expected = IN_FLOAT32 if weights[row] > 0 else "a number from 0"
        raise WrongValueError(name, row, value, expected)
    return weights.astype(np.float32)


def _parse_numbers(texts: pa.Array) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.utf8_trim_whitespace(texts).cast(pa.float64())


def to_booleans(name: str, values: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """The truth of each row, and whether it is missing, both ``(rows,)`` bool.

    Raises:
        WrongValueError: If one is neither true nor false, yes nor no, 1 nor 0.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = pc.replace_substring_regex(pc.utf8_lower(to_texts(values)), r"^([01])\.0*$", r"\1")
    missing = texts.is_null().to_numpy(zero_copy_only=False)
    true, false = (
        pc.is_in(texts, value_set=pa.array(words)).to_numpy(zero_copy_only=False)
        for words in (TRUE, FALSE)
    )
    if not (known := true | false | missing).all():
        row = int(known.argmin())
        raise WrongValueError(name, row, values[row].as_py(), "true or false")
    return true, missing


def to_seconds(name: str, values: pa.Array, format: str | None = None) -> np.ndarray:
    """The dates in seconds since 1970, UTC, ``(rows,)`` float64; NaN where one is missing.

    Raises:
        WrongValueError: If one is not a date of this format.
    """
    import pyarrow as pa

    if pa.types.is_string(values.type):
        try:
            parsed = _parse_dates(values, format)
        except pa.ArrowInvalid:
            row = first_refused(values, lambda some: _parse_dates(some, format))
            expected = f"a date of the format {format}" if format else "a date such as 2026-11-28"
            raise WrongValueError(name, row, values[row].as_py(), expected) from None
        values = parsed
    elif not pa.types.is_timestamp(values.type):
        raise WrongValueError(name, 0, values[0].as_py(), "a date")
    micros = values.cast(pa.int64()).cast(pa.float64(), safe=False)
    seconds: np.ndarray = micros.to_numpy(zero_copy_only=False) / 1e6
    return seconds


def _parse_dates(values: pa.Array, format: str | None) -> pa.Array:
    """Texts as timestamps without a zone; those with one in UTC."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if format is not None:
        return pc.strptime(values, format=format, unit="us")
    try:
        return values.cast(pa.timestamp("us"))
    except pa.ArrowInvalid:
        has_zone, none = pc.match_substring_regex(values, ZONE), pa.scalar(None, pa.string())
        with_zone = pc.if_else(has_zone, values, none).cast(pa.timestamp("us", "UTC"))
        without = pc.if_else(has_zone, none, values).cast(pa.timestamp("us"))
        return pc.coalesce(with_zone.cast(pa.timestamp("us")), without)


def first_refused(values: pa.Array, parse: Callable[[pa.Array], object]) -> int:
    """The first row that a function of pyarrow refuses, found by halves.

    Args:
        values: One of them at least is refused.
        parse: Raises ``pyarrow.ArrowInvalid`` if it refuses any of the values.
    """
    import pyarrow as pa

    low, high = 0, len(values)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            parse(values[low:middle])
            low = middle
        except pa.ArrowInvalid:
            high = middle
    return low


def to_texts(values: pa.Array) -> pa.Array:
    """The values as texts, such as categories are compared by: 7, true, a midnight as its date."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_string(values.type):
        return values
    texts = values.cast(pa.string())
    if pa.types.is_floating(values.type):  # -0.0 equals 0.0
        return pc.replace_substring_regex(texts, "^-0$", "0")
    if pa.types.is_timestamp(values.type):  # cast as 2026-11-28 00:00:00.000000
        return pc.replace_substring_regex(texts, r"( 00:00:00)?\.0+$", "")
    return texts


def cells_of_classes(known: Sequence[str]) -> Cells:
    """What is to be read for :func:`index_of_class`: numbers, if training has read such."""
    numeric = all(_number(text) is not None for text in known)
    return Cells.TEXTS | (Cells.NUMBERS if numeric else Cells.VALUES)


def index_of_class(values: pa.Array, known: Sequence[str]) -> np.ndarray:
    """The index of each value in ``known``, ``(rows,)`` int32; -1 for others and missing ones.

    A table may hold the same values in another form than the training data: 7 as 7.0 or 007, true
    as True, a time as its date. They are compared as numbers, without case, or as times, if all of
    ``known`` are such.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = to_texts(values)
    found = index_in(texts, known, -1)
    others = np.flatnonzero((found < 0) & texts.is_valid().to_numpy(zero_copy_only=False))
    if not len(others):
        return found
    if set(known) <= {"true", "false"}:
        found[others] = index_in(pc.utf8_lower(texts.take(pa.array(others))), known, -1)
        return found
    # As floats, 2**53 and the integer after it are equal; of larger floats there are no digits.
    number = _exact_number if all(map(WHOLE.fullmatch, known)) else _number
    for meaning in (number, _seconds):
        if indices := _by_meaning(known, meaning):
            for row in others:
                found[row] = indices.get(meaning(texts[row].as_py()), -1)
            break
    return found


def _by_meaning(
    known: Sequence[str], meaning: Callable[[str], float | None]
) -> dict[float | None, int]:
    """The index of each meaning; none if one has no such meaning, or two are equal."""
    if meaning(known[0]) is None:
        return {}
    indices = {meaning(text): index for index, text in enumerate(known)}
    return {} if None in indices or len(indices) < len(known) else indices


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _exact_number(text: str) -> int | float | None:
    whole = WHOLE.fullmatch(text)
    return int(whole[1]) if whole else _number(text)


@lru_cache(maxsize=2**16)
def _seconds(text: str) -> float | None:
    import pyarrow as pa

    try:
        return float(to_seconds("", pa.array([text]))[0])
    except WrongValueError:
        return None


def to_objects(values: pa.Array) -> list[Any]:
    """The values as Python has them: integers of any size as such."""
    import pyarrow as pa

    objects: list[Any] = values.to_pylist()
    if pa.types.is_decimal(values.type):
        return [None if value is None else int(value) for value in objects]
    return objects


def count_values(counts: dict[str, int], values: pa.Array) -> None:
    """Add how often each text occurs; missing ones are not counted."""
    add_counts(counts, values.drop_null().value_counts())


def add_counts(counts: dict[str, int], counted: pa.StructArray) -> None:
    """Add what pyarrow's ``value_counts`` returns of texts."""
    # A list of a field takes a quarter of the time of one of structs.
    texts, numbers = (counted.field(name).to_pylist() for name in ("values", "counts"))
    for text, number in zip(texts, numbers, strict=True):
        counts[text] = counts.get(text, 0) + number


def index_in(values: pa.Array, known: Sequence[str], missing: int) -> np.ndarray:
    """The index of each text in ``known``, ``(rows,)`` int32; ``missing`` for others."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found = pc.index_in(values, value_set=pa.array(list(known), pa.string()), skip_nulls=True)
    indices: np.ndarray = pc.fill_null(found, missing).to_numpy(zero_copy_only=False)
    return indices.astype(np.int32)
