"""Describe a data set that is in memory."""

from __future__ import annotations

import math

import numpy as np

from dlrun.data.dataset import SPLITS, Dataset
from dlrun.data.description.class_coverage import unlearned_of
from dlrun.data.description.table import BINS
from dlrun.data.source import Description
from dlrun.data.tree import leaves, map_named

MOST_BINNED = 1_000_000  # values; to bin the 150 million of 50,000 small pictures takes 8 s


def describe_dataset(data: Dataset, source: str) -> Description:
    """Describe the arrays of a data set.

    Args:
        data: The data set.
        source: What to call it.
    """
    sizes = {name: len(getattr(data, name)) for name in SPLITS}
    columns: list[dict[str, object]] = []
    classes: dict[str, dict[str, int]] = {}

    def add(kind: str, name: str | None, array: np.ndarray) -> None:
        default = "inputs" if kind == "input" else "labels"
        columns.append(describe_array(name or default, kind, array))

    map_named(lambda name, array: add("input", name, array), data.train.inputs)
    map_named(lambda name, array: add("target", name, array), data.train.labels)
    names = list(data.num_classes) if isinstance(data.num_classes, dict) else ["labels"]
    arrays = zip(names, leaves(data.num_classes), leaves(data.train.labels), strict=True)
    for name, number, labels in arrays:
        if number > 1 and np.issubdtype(labels.dtype, np.integer) and labels.size == len(labels):
            counts = np.bincount(labels.reshape(-1), minlength=number)
            classes[name] = {str(label): int(count) for label, count in enumerate(counts)}
    return Description(
        source=source,
        samples=sum(sizes.values()),
        splits=sizes,
        columns=columns,
        classes=classes,
        notes=["figures are those of the training split", *unlearned_of(data)],
    )


def describe_array(name: str, kind: str, array: np.ndarray) -> dict[str, object]:
    """An array as a table's column is described.

    Args:
        name: What to call it.
        kind: ``input`` or ``target``.
        array: ``(samples, ...)`` of numbers.

    Returns:
        The column. Its ``histogram`` is that of at most :data:`MOST_BINNED` values, at even
        distances, and None if values are all equal or some infinite.
    """
    shape = ", ".join(map(str, array.shape[1:]))
    missing = np.isnan(array) if array.dtype.kind == "f" else np.zeros((), bool)
    known = array[~missing] if missing.any() else array
    low, high = (float(known.min()), float(known.max())) if known.size else (None, None)
    return {
        "name": name,
        "type": f"{array.dtype.name} ({shape})" if shape else array.dtype.name,
        "kind": kind,
        "missing": int(missing.sum()),
        "distinct": None,
        "low": low,
        "high": high,
        "mean": float(known.mean(dtype=np.float64)) if known.size else None,
        "counts": {},
        "examples": [],
        "histogram": None if low is None or high is None else _histogram(known, low, high),
    }


def _histogram(values: np.ndarray, low: float, high: float) -> dict[str, list[float]] | None:
    """The edges of the bins and how many values are in each; None for equal or infinite values."""
    if not 0 < high - low < np.inf:
        return None
    step = math.ceil(values.size / MOST_BINNED)
    while math.gcd(step, math.prod(values.shape[1:])) > 1:  # else only some places of a sample
        step += 1
    binned = values.flat[::step].astype(np.float64)
    # By edges: NumPy's own refuse values that differ by a few roundings.
    counts, edges = np.histogram(binned, np.linspace(low, high, BINS + 1))
    return {"edges": edges.tolist(), "counts": counts.tolist()}
