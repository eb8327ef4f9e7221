"""Truth values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dlrun.data.columns import NUMBERS
from dlrun.data.tabular.column_types import Cells
from dlrun.data.tabular.column_values import FALSE, TRUE, to_booleans

if TYPE_CHECKING:
    import pyarrow as pa

    from dlrun.data.tabular.profile import ColumnProfile


@dataclass(frozen=True)
class Boolean:
    """A column of truth values: 1 or 0; 0 if missing.

    Args:
        name: The column.
        indicator: Whether a second value says that it was missing, 1 or 0.
    """

    name: str
    indicator: bool

    input = NUMBERS
    cells = Cells.NUMBERS
    sizes = ()

    @property
    def width(self) -> int:
        """See :class:`dlrun.data.columns.Column`."""
        return 1 + self.indicator

    def encode(self, values: pa.Array, out: np.ndarray) -> None:
        """See :class:`dlrun.data.columns.Column`."""
        out[:, 0], missing = to_booleans(self.name, values)
        if self.indicator:
            out[:, 1] = missing

    @classmethod
    def from_state(cls, name: str, state: dict[str, Any]) -> Boolean:
        """See :class:`dlrun.data.columns.Column`."""
        if not isinstance(state["indicator"], bool):
            raise ValueError(f"the state of column {name!a:.80} is damaged")
        return cls(name, state["indicator"])


class Fitter:
    """Notes whether truth values are missing; see :mod:`dlrun.data.columns`."""

    OPTIONS = ()

    def __init__(self, name: str) -> None:
        self._name, self._has_missing = name, False

    def update(self, values: pa.Array) -> None:
        """Add a batch."""
        self._has_missing |= bool(to_booleans(self._name, values)[1].any())

    def result(self) -> Boolean:
        """The fitted column."""
        return Boolean(self._name, self._has_missing)


def takes(profile: ColumnProfile) -> bool:
    """See :mod:`dlrun.data.columns`. Numbers 1 and 0 are numbers."""
    values = {value.lower() for value in profile.counts}
    is_texts = profile.type == "string" and bool(values) and values <= {*TRUE, *FALSE}
    return profile.type == "bool" or is_texts
