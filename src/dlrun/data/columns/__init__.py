"""Kinds of table columns: how a column becomes values of a model's input.

Each module is one kind, named like the module, and has

- ``Fitter(name, **options)``: sees the training split's values batch by batch, ``update(array)``,
  and gives the fitted column, ``fitted()``. ``options`` are those that a user may set.
- the fitted column, a :class:`Column` named like the module in CamelCase.

A fitted column is a function of the training split alone, and treats each row by itself.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

NUMBERS = "numbers"
CATEGORIES = "categories"


class Column(Protocol):
    """A fitted column."""

    @property
    def name(self) -> str:
        """The column of the table."""

    @property
    def input(self) -> str:
        """The model's input that its values go to: ``numbers``, ``categories``, or its own."""

    @property
    def width(self) -> int:
        """How many values it gives for a row."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """If its values are ids: the number that they are below, for each value or for all."""

    def encode(self, values: pa.Array, out: np.ndarray) -> None:
        """Write the values of rows.

        Args:
            values: Of one of the types of :data:`dlrun.data.column_types.TYPES`.
            out: Where to write, ``(rows, width)`` zeros: float32, or int32 for ids.

        Raises:
            WrongValueError: If a value is not of this kind.
        """

    @classmethod
    def from_state(cls, name: str, state: dict[str, Any]) -> Column:
        """The column again, from an untrusted source.

        Raises:
            ValueError: If it is not the state of :func:`to_entry`.
        """


class WrongValueError(ValueError):
    """A value that is not of its column's kind.

    Args:
        column: The column.
        row: The row within the batch, from 0.
        value: The value.
        expected: What it should be.
    """

    def __init__(self, column: str, row: int, value: Any, expected: str) -> None:
        self.column, self.row, self.value, self.expected = column, row, value, expected
        super().__init__(
            f"column '{column}': row {row + 1:,} is {value!r:.80}, expected {expected}"
        )


@cache  # asked for each column
def kinds() -> Sequence[str]:
    """The names of all kinds."""
    return tuple(module.name for module in pkgutil.iter_modules(__path__))


def fitter(kind: str, name: str, options: Mapping[str, Any]) -> Any:
    """The fitter of a column.

    Raises:
        ValueError: If there is no such kind or option.
    """
    if kind not in kinds():
        raise ValueError(f"column '{name}': there is no kind '{kind}': {', '.join(kinds())}")
    module = importlib.import_module(f"{__name__}.{kind}")
    known = module.Fitter.OPTIONS
    if unknown := [option for option in options if option not in known]:
        raise ValueError(
            f"column '{name}': a {kind} has no option '{unknown[0]}': {', '.join(known) or 'none'}"
        )
    return module.Fitter(name, **options)


def to_entry(column: Column) -> dict[str, Any]:
    """A fitted column as JSON holds it, for :func:`from_entry`; its fields are its state."""
    fields = {n: list(v) if isinstance(v, tuple) else v for n, v in vars(column).items()}
    return {"name": fields.pop("name"), "kind": kind_of(column), "state": fields}


def kind_of(column: Column) -> str:
    """The kind of a fitted column."""
    return type(column).__module__.rpartition(".")[2]


def from_entry(entry: Any) -> Column:
    """A fitted column from an untrusted source.

    Raises:
        ValueError: If there is no such kind, or its state is damaged.
    """
    if not isinstance(entry, dict) or set(entry) != {"name", "kind", "state"}:
        raise ValueError("a column has name, kind and state")
    name, kind, state = entry["name"], entry["kind"], entry["state"]
    if not isinstance(name, str) or not isinstance(state, dict):
        raise ValueError(f"a column has the name {name!a:.80}")
    if kind not in kinds():
        raise ValueError(f"there is no kind of column {kind!a:.80} in this dlrun")
    module = importlib.import_module(f"{__name__}.{kind}")
    try:
        column: Column = getattr(module, kind.title()).from_state(name, state)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"the state of column {name!a:.80} is damaged") from error
    return column


def read_numbers(values: Any, *, finite: bool = True) -> list[float]:
    """A list of numbers from an untrusted source.

    Raises:
        ValueError: If it is none.
    """
    import math

    if not isinstance(values, list) or not all(type(v) in (int, float) for v in values):
        raise ValueError("expected a list of numbers")
    if finite and not all(map(math.isfinite, values)):
        raise ValueError("expected finite numbers")
    return [float(value) for value in values]


def read_texts(values: Any) -> list[str]:
    """A list of different texts from an untrusted source.

    Raises:
        ValueError: If it is none.
    """
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ValueError("expected a list of texts")
    if len(set(values)) < len(values):
        raise ValueError("expected different texts")
    return values


def to_numbers(name: str, values: pa.Array) -> np.ndarray:
    """The values as float64 ``(rows,)``, NaN where one is missing.

    Raises:
        WrongValueError: If one is not a finite number; names the first such row.
    """
    import numpy as np
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
        numbers = values.cast(pa.float64(), safe=False)
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
        WrongValueError: If one is not a finite number from 0; names the first such row.
    """
    import numpy as np

    weights = to_numbers(name, values)
    if (wrong := ~(weights >= 0)).any():
        row = int(wrong.argmax())
        value = None if np.isnan(weights[row]) else float(weights[row])
        raise WrongValueError(name, row, value, "a number from 0")
    return weights.astype(np.float32)


def _parse_numbers(texts: pa.Array) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.utf8_trim_whitespace(texts).cast(pa.float64())


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


def index_of_class(values: pa.Array, known: Sequence[str]) -> np.ndarray:
    """The index of each value in ``known``, ``(rows,)`` int32; -1 for others and missing ones.

    A table may hold the same values in another form than the training data: 7 as 7.0 or 007, true
    as True, a time as its date. They are compared as numbers, without case, or as times, if all of
    ``known`` are such.
    """
    import numpy as np
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
    for meaning in (_number, _seconds):
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
    import math

    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


@lru_cache(maxsize=2**16)
def _seconds(text: str) -> float | None:
    import pyarrow as pa

    from dlrun.data.columns.date import to_seconds  # which imports this module

    try:
        return float(to_seconds("", pa.array([text]))[0])
    except WrongValueError:
        return None


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
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    found = pc.index_in(values, value_set=pa.array(list(known), pa.string()), skip_nulls=True)
    indices: np.ndarray = pc.fill_null(found, missing).to_numpy(zero_copy_only=False)
    return indices.astype(np.int32)
