"""What ``dlrun data`` tells of a table."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from dlrun.data.description.class_coverage import unlearned_of
from dlrun.data.source import Description
from dlrun.data.splits import LEFT_OUT, SPLITS
from dlrun.data.tabular import encode
from dlrun.data.tabular.column_values import to_seconds
from dlrun.data.tabular.number_types import NUMERIC, to_floats
from dlrun.data.tabular.targets import class_counts
from dlrun.errors import DlrunError

if TYPE_CHECKING:
    from dlrun.data.table import Table

BINS = 20  # of a histogram


def describe_table(of: Table) -> Description:
    """What is in a table, and what was found; without a target, of the columns alone."""
    if not of.targets:
        return Description(
            source=of.path,
            samples=next(iter(of.profiles.values())).rows,
            splits={},
            columns=describe_columns(of, {name: p.kind for name, p in of.profiles.items()}),
            notes=["data.target=COLUMN names the column to predict"],
        )
    counts = np.bincount(of.splits, minlength=4)
    outputs = {name or target.title: target for name, target in of.labels.items()}
    used = {column: "target" for target in outputs.values() for column in target.columns}
    used |= {of.weight: "weight"} if of.weight else {}
    used |= {name: column.kind for name, column in of.inputs.items()}
    if of.way.by is not None:
        used.setdefault(of.way.by, "split")
    return Description(
        source=of.path,
        samples=int(counts[:LEFT_OUT].sum()),
        splits={name: int(counts[code]) for name, code in SPLITS.items()},
        columns=describe_columns(of, {name: used.get(name, "left out") for name in of.profiles}),
        tasks={name: target.kind for name, target in outputs.items()},
        classes={
            name: class_counts(of, target) for name, target in outputs.items() if target.classes
        },
        notes=[*of.notes, *_notes_of_arrays(of)],
        explicit=of.explicit(),
    )


def _notes_of_arrays(of: Table) -> list[str]:
    """What the arrays of a run tell of its splits: rows in two, and classes that none trains on."""
    try:
        return [*unlearned_of(encode.dataset(of)), *encode.duplicate_notes(of)]
    except DlrunError as error:  # a table that can't be encoded is described all the same
        return [f"training refuses it: {error.message}"]


def describe_columns(of: Table, kinds: Mapping[str, str]) -> list[dict[str, Any]]:
    """What is in columns, as :class:`dlrun.data.source.Description` has them.

    Args:
        of: The table.
        kinds: What each column is.
    """
    histograms = _histograms(of, kinds)
    return [
        {
            "name": name,
            "type": profile.type,
            "kind": kind,
            "missing": profile.missing,
            "distinct": profile.distinct,
            "low": profile.low,
            "high": profile.high,
            "mean": profile.mean,
            "counts": dict(list(profile.counts.items())[:20]),
            "examples": profile.examples,
            "histogram": histograms.get(name),
        }
        for name, kind in kinds.items()
        for profile in [of.profiles[name]]
    ]


def _histograms(of: Table, names: Collection[str]) -> dict[str, dict[str, list[Any]]]:
    """For each column of numbers, the edges of its bins and how many values are in each."""
    edges = {
        name: np.linspace(profile.low, profile.high, BINS + 1)
        for name, profile in of.profiles.items()
        if name in names
        and profile.type in (*NUMERIC, "timestamp[us]")
        and profile.low is not None
        and profile.high is not None
        and profile.low < profile.high
    }
    counts = {name: np.zeros(BINS, np.int64) for name in edges}
    for batch in of.batches():
        for name, bins in edges.items():
            values = batch.column(name)
            is_time = of.profiles[name].type.startswith("timestamp")
            numbers = to_seconds(name, values) if is_time else np.asarray(to_floats(values))
            # Infinite ones are in no bin, nor in the profile; training refuses them by their row.
            counts[name] += np.histogram(numbers[np.isfinite(numbers)], bins)[0]
    return {
        name: {"edges": bins.tolist(), "counts": counts[name].tolist()}
        for name, bins in edges.items()
    }
