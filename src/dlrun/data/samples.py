"""Arrays of inputs and labels as a source reads them, and their labels as columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dlrun.data.tree import Arrays, concatenate, leaves_by_name
from dlrun.errors import DlrunError

if TYPE_CHECKING:
    import pyarrow as pa

LABELS, SPLIT = "y", "split"


class Samples(NamedTuple):
    """What a source of arrays reads.

    Args:
        inputs: ``(samples, ...)`` of numbers, or a mapping of several.
        labels: ``(samples,)`` or ``(samples, values)``: class names or numbers, truth values, or
            numbers.
        names: The names of the labels' columns; by default ``y``, or ``y0``, ``y1``, ...
        splits: How many samples each split has, in order, by a name of
            :data:`dlrun.data.splits.NAMES`; empty if they are to be split. Without samples to
            validate on, these are drawn from those to train on.
        sizes: As in :class:`dlrun.data.input_spec.InputSpec`.
        weights: How much each sample counts in the loss, ``(samples,)``; None for once each.
    """

    inputs: Arrays
    labels: np.ndarray
    names: Sequence[str] = ()
    splits: Mapping[str, int] = {}
    sizes: Mapping[str | None, tuple[int, ...]] = {}
    weights: np.ndarray | None = None

    @classmethod
    def of_splits(
        cls, parts: Mapping[str, tuple[Arrays, Any]], names: Sequence[str] = ()
    ) -> Samples:
        """The samples of several splits, one after another.

        Args:
            parts: The inputs and labels of each, by its name.
            names: As in :class:`Samples`.

        Raises:
            ValueError: If their shapes or the names of their inputs differ.
        """
        inputs = [inputs for inputs, _ in parts.values()]
        labels = [np.asarray(labels) for _, labels in parts.values()]
        first, *others = ({*leaves_by_name(of_split)} for of_split in inputs)
        if any(other != first for other in others):
            raise ValueError("the splits have inputs of different names")
        sizes = dict(zip(parts, map(len, labels), strict=True))
        return cls(concatenate(inputs), np.concatenate(labels), names, sizes)

    def label_batch(self, source: str) -> pa.RecordBatch:
        """The labels as columns, and the split of each sample in one more if there are splits.

        Args:
            source: As for :func:`label_columns`.

        Raises:
            DlrunError: As :func:`label_columns`.
        """
        import pyarrow as pa

        columns = label_columns(source, self.labels)
        width = len(columns)
        default = [LABELS] if width == 1 else [f"{LABELS}{number}" for number in range(width)]
        found = dict(zip(self.names or default, columns, strict=True))
        if self.splits:
            found[SPLIT] = pa.array(
                [split for split, size in self.splits.items() for _ in range(size)]
            )
        return pa.record_batch(found)


def one_hot_classes(labels: np.ndarray) -> np.ndarray | None:
    """The class numbers of one-hot labels; None for other labels.

    Args:
        labels: One-hot are ``(samples, classes)`` with one 1 in each row, else 0.
    """
    if labels.dtype.kind not in "biuf" or labels.ndim != 2 or labels.shape[1] < 2:
        return None
    ones = labels == 1
    if not (ones | (labels == 0)).all() or not (ones.sum(axis=1) == 1).all():
        return None
    classes: np.ndarray = ones.argmax(axis=1)
    return classes


def label_columns(source: str, labels: np.ndarray) -> list[pa.Array]:
    """Labels as columns, one for each value of a sample.

    Args:
        source: What they are called in messages.
        labels: As in :class:`Samples`.

    Raises:
        DlrunError: If they are of another form, or of mixed types.
    """
    import pyarrow as pa

    if labels.dtype.kind == "S":
        labels = np.char.decode(labels, "utf-8")
    if labels.ndim not in (1, 2) or labels.dtype.kind not in "biufUO" or not labels.size:
        raise DlrunError(
            f"{source}: the labels are {labels.dtype.name} of shape {labels.shape}, expected"
            " class names or numbers, one or several for each sample"
        )
    if labels.ndim == 1:
        labels = labels[:, None]
    try:
        return [pa.array(column.tolist()) for column in labels.T]
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise DlrunError(f"{source}: the labels are of mixed types: {error}") from error
