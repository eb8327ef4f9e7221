"""How the rows of a table become arrays: the same ones to train, to evaluate and to predict."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dlrun.data.columns.number import refuse_infinite
from dlrun.data.preprocessing import Step
from dlrun.data.preprocessing.columns import Columns
from dlrun.data.tabular.column_types import Cells
from dlrun.data.tabular.column_values import WrongValueError, to_weights
from dlrun.data.targets import Target
from dlrun.data.tree import Arrays

if TYPE_CHECKING:
    import pyarrow as pa

    from dlrun.data.columns import Column


class EncodedRows(NamedTuple):
    """Rows of a table as arrays.

    Args:
        inputs: As :meth:`dlrun.data.preprocessing.columns.Columns.apply` returns them.
        labels: As :meth:`dlrun.data.targets.Target.encode` returns them, by output; None names a
            single one.
        weights: What each row counts, ``(rows,)`` float32; None if nothing weighs them.
    """

    inputs: Arrays
    labels: dict[str | None, np.ndarray]
    weights: np.ndarray | None


@dataclass(frozen=True)
class RowEncoder:
    """Makes arrays of the rows of a table, as was fitted to the rows to train on.

    Args:
        columns: The columns that are inputs.
        targets: What is made of the others, by output; empty to encode rows without labels.
        weight: The column that weighs the rows; None for none.
        further: Steps that the inputs go through after the columns.
    """

    columns: Columns
    targets: Mapping[str | None, Target]
    weight: str | None = None
    further: tuple[Step, ...] = ()

    @property
    def cells(self) -> dict[str, Cells]:
        """Each column that is read, and what is taken of its cells."""
        cells = dict(self.columns.cells)
        if self.weight is not None:
            cells[self.weight] = Cells.NUMBERS
        for target in self.targets.values():
            cells |= target.cells
        return cells

    def encode(self, rows: Mapping[str, Any]) -> EncodedRows:
        """Rows as inputs, their labels, and what they count.

        Args:
            rows: pyarrow arrays by column, such as :class:`BatchColumns`.

        Raises:
            WrongValueError: If a value is not of its column's kind.
        """
        inputs = self.columns.apply(rows)
        for step in self.further:
            inputs = step.apply(inputs)
        labels = encode_targets(self.targets, rows)
        weights = None if self.weight is None else to_weights(self.weight, rows[self.weight])
        return EncodedRows(inputs, labels, weights)

    def wrong_rows(self, batch: pa.RecordBatch) -> dict[int, str]:
        """What is wrong with each row that can't be encoded, by its place."""
        found: dict[int, str] = {}
        for column in self.columns.fitted:
            found = _refused(partial(_encode_column, column), batch) | found
        found = wrong_targets(self.targets.values(), batch) | found
        if (weight := self.weight) is not None:
            found = _refused(lambda rows: to_weights(weight, rows[weight]), batch) | found
        return found

    def state(self) -> dict[str, Any]:
        """The columns and the targets as JSON holds them."""
        targets = [[name, target.state()] for name, target in self.targets.items()]
        return {"columns": self.columns.state(), "targets": targets}

    @classmethod
    def from_state(cls, state: Mapping[str, Any], weight: str | None) -> RowEncoder:
        """The encoder again, of what :meth:`state` returns."""
        targets = {name: Target.from_state(target) for name, target in state["targets"]}
        return cls(Columns.from_state(state["columns"]), targets, weight)


def encode_targets(
    targets: Mapping[str | None, Target], rows: Mapping[str, Any]
) -> dict[str | None, np.ndarray]:
    """The labels of rows, by output; see :meth:`RowEncoder.encode`."""
    return {name: _encode_target(target, rows) for name, target in targets.items()}


def wrong_targets(targets: Iterable[Target], batch: pa.RecordBatch) -> dict[int, str]:
    """What is no target in each row, by its place.

    A class that the run does not know is a mistake in the choice of the table, not in a row.
    """
    found: dict[int, str] = {}
    for target in targets:
        if not target.classes or (target.kind == "multilabel" and not target.is_list):
            found = _refused(partial(_encode_target, target), batch) | found
    return found


def _encode_column(column: Column, rows: Mapping[str, Any]) -> None:
    values, dtype = rows[column.name], np.int32 if column.sizes else np.float32
    column.encode(values, np.zeros((len(values), column.width), dtype))


def _encode_target(target: Target, rows: Mapping[str, Any]) -> np.ndarray:
    with np.errstate(over="ignore"):  # refused by row
        labels = target.encode(rows)
    if target.kind == "regression":
        for name, scaled in zip(target.columns, labels.T, strict=True):
            refuse_infinite(name, rows[name], scaled)
    return labels


def _refused(encode: Callable[[BatchColumns], object], batch: pa.RecordBatch) -> dict[int, str]:
    """What a function refuses of each row, by its place."""
    found: dict[int, str] = {}
    start = 0
    while start < len(batch):
        try:
            encode(BatchColumns(batch.slice(start)))
            break
        except WrongValueError as error:
            # Of several columns, a later one may be wrong in a row before.
            before = _refused(encode, batch.slice(start, error.row))
            found |= {start + row: why for row, why in before.items()}
            start += error.row + 1
            found[start - 1] = f"column '{error.column}': {error.problem}"
    return found


class BatchColumns(Mapping[str, Any]):
    """A batch as a mapping of its columns.

    Args:
        batch: The batch.
        mask: Which of its rows to take, a ``pyarrow.BooleanArray``; None for all. A column is
            filtered when it is asked for, by whichever thread does.
    """

    def __init__(self, batch: pa.RecordBatch, mask: pa.BooleanArray | None = None) -> None:
        self._batch, self._mask = batch, mask
        self._names = dict.fromkeys(batch.schema.names)  # which makes a list of them each time

    def __getitem__(self, name: str) -> Any:
        column = self._batch.column(name)
        return column if self._mask is None else column.filter(self._mask)

    def __iter__(self) -> Any:
        return iter(self._names)

    def __len__(self) -> int:
        return int(self._batch.num_columns)

    def __contains__(self, name: object) -> bool:
        return name in self._names
