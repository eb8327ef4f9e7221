"""A table's columns as inputs of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from dlrun.data import columns
from dlrun.data.columns import Column
from dlrun.data.tabular.column_types import Cells
from dlrun.data.tree import Arrays

MAX_COLUMNS = 10_000


@dataclass(frozen=True)
class Columns:
    """Encode each column, and put those of one input side by side.

    The inputs are ``numbers``, float32 ``(rows, values)``, ``categories``, int32 ids ``(rows,
    columns)``, and one int32 ``(rows, length)`` for each text, as far as there are such columns; an
    array rather than a mapping if there is a single input.

    Args:
        fitted: The columns, in the table's order.
    """

    fitted: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """See :class:`dlrun.data.preprocessing.Step`."""
        return tuple(column.name for column in self.fitted)

    @property
    def cells(self) -> dict[str, Cells]:
        """What each column takes from the cells of a file."""
        return {column.name: column.cells for column in self.fitted}

    @cached_property
    def inputs(self) -> dict[str, list[Column]]:
        """The columns of each input."""
        found: dict[str, list[Column]] = {}
        for column in self.fitted:
            found.setdefault(column.input, []).append(column)
        return dict(sorted(found.items(), key=lambda item: item[0] != columns.NUMBERS))

    @property
    def sizes(self) -> dict[str | None, tuple[int, ...]]:
        """For each input of ids, the numbers that they are below."""
        found = {name: [size for c in of for size in c.sizes] for name, of in self.inputs.items()}
        single = len(found) == 1
        return {None if single else name: tuple(of) for name, of in found.items() if of}

    def apply(self, inputs: Arrays) -> Arrays:
        """See :class:`dlrun.data.preprocessing.Step`; the arrays may be pyarrow's too."""
        if not isinstance(inputs, Mapping):
            raise ValueError(f"expected columns by name: {', '.join(self.names)}")
        encoded = {name: self._encode(of, inputs) for name, of in self.inputs.items()}
        return next(iter(encoded.values())) if len(encoded) == 1 else encoded

    def _encode(self, of: Sequence[Column], inputs: Mapping[str, Any]) -> np.ndarray:
        import pyarrow as pa

        if missing := next((column for column in of if column.name not in inputs), None):
            raise ValueError(f"there is no column '{missing.name}'")
        arrays = [inputs[column.name] for column in of]
        widths = [column.width for column in of]
        dtype = np.int32 if of[0].sizes else np.float32
        # Written side by side, as columns are read: dealt out row by row they take twice as long.
        encoded = np.zeros((sum(widths), len(arrays[0])), dtype).T
        for column, values, end in zip(of, arrays, np.cumsum(widths), strict=True):
            array = values if isinstance(values, pa.Array) else pa.array(values)
            column.encode(array, encoded[:, end - column.width : end])
        return np.ascontiguousarray(encoded)

    def state(self) -> dict[str, Any]:
        """See :class:`dlrun.data.preprocessing.Step`."""
        return {"columns": [columns.to_entry(column) for column in self.fitted]}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Columns:
        """See :class:`dlrun.data.preprocessing.Step`."""
        entries = state.get("columns")
        if set(state) != {"columns"} or not isinstance(entries, list):
            raise ValueError("columns needs a list of columns")
        if not 0 < len(entries) <= MAX_COLUMNS:
            raise ValueError(f"columns is for 1 to {MAX_COLUMNS:,} columns")
        fitted = tuple(map(columns.from_entry, entries))
        if len({column.name for column in fitted}) < len(fitted):
            raise ValueError("columns has two columns of one name")
        return cls(fitted)
