"""Classes that are evaluated and never trained on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from dlrun.data.dataset import SPLITS, Dataset
from dlrun.data.tree import Arrays, Tree, leaves_by_name
from dlrun.errors import list_names
from dlrun.system.finite import extremes

if TYPE_CHECKING:
    from dlrun.data.targets import Target

AT_ONCE = 2**22  # labels that are counted
SHOWN = 5


def unlearned_of(data: Dataset) -> list[str]:
    """As :func:`unlearned_classes`, of a data set."""
    labels = {split: getattr(data, split).labels for split in SPLITS}
    return unlearned_classes(labels, data.num_classes, data.targets)


def unlearned_classes(
    labels: Mapping[str, Arrays], num_classes: Tree[int], targets: Tree[Target] | None = None
) -> list[str]:
    """A line for each label of a split that has classes which no training sample has.

    Args:
        labels: Of each split, by its name.
        num_classes: As :class:`dlrun.data.dataset.Dataset` has them.
        targets: The same, where classes have names.
    """
    trained: Mapping[Any, np.ndarray] = leaves_by_name(labels["train"])
    widths: Mapping[Any, int] = leaves_by_name(num_classes)
    named: Mapping[Any, Target] = {} if targets is None else leaves_by_name(targets)
    lines = []
    for split in ("validation", "test"):
        for name, there in leaves_by_name(labels[split]).items():
            known, occur = (_occurring(array, widths[name]) for array in (trained[name], there))
            if unknown := np.flatnonzero(occur & ~known).tolist():
                classes = named[name].classes if name in named else ()
                names = [classes[n] if classes else str(n) for n in unknown]
                label = f"{split}.labels" + (f"[{name!r}]" if name else "")
                which = "class" if len(unknown) == 1 else "classes"
                listed = list_names(names, SHOWN)
                lines.append(f"{label} has {which} {listed}, which no training sample has")
    return lines


def _occurring(labels: np.ndarray, width: int) -> np.ndarray:
    """Which classes occur, ``(classes,)`` bool; all of them for a label of numbers."""
    classes = max(width, 2)
    if width > 1 and labels.shape[1:] == (width,):
        return np.asarray(labels.any(axis=0))
    if labels.size and not np.issubdtype(labels.dtype, np.floating):
        least, largest = extremes(labels)
        if least >= 0 and largest < classes:
            there = np.zeros(classes, bool)
            rows = max(1, AT_ONCE // max(1, labels[:1].size))
            for start in range(0, len(labels), rows):  # counting takes 8 bytes for each label
                part = labels[start : start + rows].ravel()
                there |= np.bincount(part, minlength=classes) > 0
            return there
    return np.full(classes, bool(labels.size))
