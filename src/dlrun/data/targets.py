"""Targets: a table's columns as labels, and predictions as what the columns hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dlrun.data.columns import read_numbers, read_texts
from dlrun.data.columns.number import Moments
from dlrun.data.tabular.column_types import Cells
from dlrun.data.tabular.column_values import (
    WrongValueError,
    cells_of_classes,
    index_in,
    index_of_class,
    to_booleans,
    to_numbers,
    to_texts,
)
from dlrun.errors import DlrunError, list_names

SHOWN = 5  # classes in a message
KINDS = ("classification", "binary_classification", "regression", "multilabel")


@dataclass(frozen=True)
class Target:
    """One output of a model: the columns that it predicts.

    Args:
        kind: The task, one of :data:`KINDS`.
        columns: One column; several numbers for ``regression``, several truth values, or one
            column of lists, for ``multilabel``.
        classes: The names of the classes in the order of their numbers; of both for
            ``binary_classification``, the second of which is 1. Empty for numbers.
        mean: For ``regression``, the mean of each column over the training split.
        deviation: The standard deviation of each; labels are in units of it.
    """

    kind: str
    columns: tuple[str, ...]
    classes: tuple[str, ...] = ()
    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()

    @property
    def num_classes(self) -> int:
        """The width of the output: classes, or numbers; 1 for a binary target."""
        if self.kind == "regression":
            return len(self.columns)
        return 1 if self.kind == "binary_classification" else len(self.classes)

    @property
    def title(self) -> str:
        """What it predicts, as users know it: its columns."""
        return ", ".join(self.columns)

    @property
    def is_list(self) -> bool:
        """Whether it is one column of lists."""
        return self.kind == "multilabel" and len(self.columns) == 1

    @property
    def cells(self) -> dict[str, Cells]:
        """What it takes from the cells of each of its columns."""
        if self.is_list:
            cells = Cells.LISTS
        elif "classification" in self.kind:
            cells = cells_of_classes(self.classes)
        else:
            cells = Cells.NUMBERS
        return dict.fromkeys(self.columns, cells)

    def encode(self, table: Mapping[str, Any]) -> np.ndarray:
        """The labels of rows.

        Args:
            table: pyarrow arrays by column; none of the target's may have a missing value, unless
                it is ``multilabel``, where that is none of the classes.

        Returns:
            Class numbers ``(rows,)`` int32, truth values ``(rows, classes)`` uint8, or standardized
            numbers ``(rows, columns)`` float32.

        Raises:
            WrongValueError: If a value is not a class, or not a number.
        """
        if self.kind == "regression":
            numbers = [to_numbers(name, table[name]) for name in self.columns]
            values = (np.stack(numbers, axis=1) - self.mean) / self.deviation
            return values.astype(np.float32)
        if self.is_list:
            return self._encode_lists(table[self.columns[0]])
        if self.kind == "multilabel":
            truths = [to_booleans(name, table[name])[0] for name in self.columns]
            return np.stack(truths, axis=1).astype(np.uint8)
        name = self.columns[0]
        labels = index_of_class(table[name], self.classes)
        if (labels < 0).any():
            row = int((labels < 0).argmax())
            raise WrongValueError(
                name, row, table[name][row].as_py(), f"one of {list_names(self.classes, SHOWN)}"
            )
        return labels

    def _encode_lists(self, lists: Any) -> np.ndarray:

        values, rows = split_list(lists)
        found = index_in(values, self.classes, -1)
        if (found < 0).any():
            at = int((found < 0).argmax())
            row = int(rows[at])
            raise WrongValueError(
                self.columns[0], row, values[at].as_py(), f"of {list_names(self.classes, SHOWN)}"
            )
        labels = np.zeros((len(lists), len(self.classes)), np.uint8)
        labels[rows, found] = 1
        return labels

    def restore(self, outputs: np.ndarray) -> np.ndarray:
        """Predicted numbers in the columns' units, ``(rows, columns)`` float64."""
        restored: np.ndarray = np.asarray(outputs, np.float64) * self.deviation + self.mean
        return restored

    def state(self) -> dict[str, Any]:
        """The target as JSON holds it."""
        return {
            "kind": self.kind,
            "columns": list(self.columns),
            "classes": list(self.classes),
            "mean": list(self.mean),
            "deviation": list(self.deviation),
        }

    @classmethod
    def from_state(cls, state: Any) -> Target:
        """The target again, from an untrusted source.

        Raises:
            ValueError: If it is not what :meth:`state` returns.
        """
        if not isinstance(state, dict) or set(state) != {f.name for f in _FIELDS}:
            raise ValueError("a target has kind, columns, classes, mean and deviation")
        if state["kind"] not in KINDS:
            raise ValueError(f"a target has the kind {state['kind']!a:.80}")
        columns, classes = read_texts(state["columns"]), read_texts(state["classes"])
        mean, deviation = read_numbers(state["mean"]), read_numbers(state["deviation"])
        numeric = len(columns) if state["kind"] == "regression" else 0
        if not columns or len(mean) != numeric or len(deviation) != numeric:
            raise ValueError("a target has a mean and a deviation for each number")
        if (not numeric and not classes) or not all(value > 0 for value in deviation):
            raise ValueError("a target has no classes, or a deviation that is not above 0")
        return cls(state["kind"], tuple(columns), tuple(classes), tuple(mean), tuple(deviation))


_FIELDS = Target.__dataclass_fields__.values()


def columns_of(targets: Iterable[Target]) -> list[str]:
    """The columns of targets, in order."""
    return [column for target in targets for column in target.columns]


def required_columns(targets: Iterable[Target], blank: str) -> list[str]:
    """The columns without whose value a row has no target.

    Args:
        targets: All of the run's.
        blank: What a blank cell of a ``multilabel`` target is: see :func:`dlrun.data.table.table`.
    """
    return columns_of(t for t in targets if blank == "missing" or t.kind != "multilabel")


class TargetFitter:
    """Measures the numbers of a target in the training split; classes are those of the table.

    Args:
        target: Without mean and deviation.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._moments = [Moments() for _ in target.columns]

    def update(self, table: Mapping[str, Any]) -> None:
        """Add a batch of rows without missing targets."""
        if self._target.kind == "regression":
            for name, moments in zip(self._target.columns, self._moments, strict=True):
                moments.update(to_numbers(name, table[name]))

    def result(self) -> Target:
        """The target with mean and deviation.

        Raises:
            DlrunError: If all training rows have the same number, or one is too large to measure.
        """
        if self._target.kind != "regression":
            return self._target
        for name, moments in zip(self._target.columns, self._moments, strict=True):
            if not np.isfinite(moments.deviation):
                raise DlrunError(
                    f"data.target={name}: has numbers as large as"
                    f" {max(moments.high, -moments.low):g}",
                    hint="write them in another unit, or as their logarithm",
                )
            if not moments.deviation:
                raise DlrunError(
                    f"data.target={name}: is {moments.mean:g} in every row of the training split",
                    hint="choose a column that varies",
                )
        means = tuple(moments.mean for moments in self._moments)
        deviations = tuple(moments.deviation for moments in self._moments)
        return replace(self._target, mean=means, deviation=deviations)


def split_list(lists: Any) -> tuple[Any, np.ndarray]:
    """The texts of all lists one after the other, and the row of each; texts are cut at ``|``."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_list(lists.type):
        texts = pc.fill_null(to_texts(lists), "")
        lists = pc.split_pattern(texts, "|")
    values, rows = pc.utf8_trim_whitespace(lists.flatten()), pc.list_parent_indices(lists)
    filled = pc.not_equal(values, "")
    return values.filter(filled), rows.filter(filled).to_numpy()
