"""Kinds of table columns: how a column becomes values of a model's input.

Each module is one kind, named like the module, and has

- ``Fitter(name, **options)``: sees the training split's values batch by batch, ``update(array)``,
  and gives the fitted column, ``result()``. Its ``OPTIONS`` are the names that a user may set.
- the fitted column, a :class:`Column` named like the module in CamelCase.
- ``takes(profile)``: whether a column is of this kind, unless the user says another. It is of the
  first kind in alphabetical order that takes it, and of categories if none does.

That is all that a kind is: what reads and encodes tables, to train on and to predict, asks it.

A fitted column is a function of the training split alone, and treats each row by itself.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from dlrun.data.tabular.column_types import Cells
    from dlrun.data.tabular.profile import ColumnProfile

NUMBERS = "numbers"
CATEGORIES = "categories"
OF_NO_OTHER = "category"


class Column(Protocol):
    """A fitted column.

    It may also have ``unseen(values)``, how many values training did not see, and ``indicator``,
    whether one of its values says that it was missing: if it doesn't, training missed none.
    """

    @property
    def name(self) -> str:
        """The column of the table."""

    @property
    def input(self) -> str:
        """The model's input that its values go to: ``numbers``, ``categories``, or its own."""

    @property
    def cells(self) -> Cells:
        """What it takes from a file's cells, for the readers of rows to predict."""

    @property
    def width(self) -> int:
        """How many values it gives for a row."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """If its values are ids: the number that they are below, for each value or for all."""

    def encode(self, values: pa.Array, out: np.ndarray) -> None:
        """Write the values of rows.

        Args:
            values: Of one of the types of :data:`dlrun.data.tabular.column_types.TYPES`.
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


class InputColumn(NamedTuple):
    """What a column of a table is, before it is fitted.

    Args:
        kind: One of :func:`kinds`.
        options: Those of its ``Fitter``.
    """

    kind: str
    options: Mapping[str, Any]


@cache  # asked for each column
def kinds() -> Sequence[str]:
    """The names of all kinds."""
    return tuple(module.name for module in pkgutil.iter_modules(__path__))


def kind_for(profile: ColumnProfile) -> str:
    """The kind of a column of which nobody says what it is."""
    taking = (kind for kind in kinds() if kind != OF_NO_OTHER and _module(kind).takes(profile))
    return next(taking, OF_NO_OTHER)


def _module(kind: str) -> Any:
    return importlib.import_module(f"{__name__}.{kind}")


def fitter(kind: str, name: str, options: Mapping[str, Any]) -> Any:
    """The fitter of a column.

    Raises:
        ValueError: If there is no such kind or option.
    """
    if kind not in kinds():
        raise ValueError(f"column '{name}': there is no kind '{kind}': {', '.join(kinds())}")
    module = _module(kind)
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
    try:
        column: Column = getattr(_module(kind), kind.title()).from_state(name, state)
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
