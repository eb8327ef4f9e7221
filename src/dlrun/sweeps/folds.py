"""Cross-validation: the mean and the deviation over the runs that differ in their fold alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import fmean, stdev
from typing import Any

from dlrun.sweeps.jobs import Job, in_means

FOLD = "data.fold"


def fold_results(jobs: Iterable[Job], monitor: str, mode: str) -> list[dict[str, Any]]:
    """The results over the folds, best mean first; empty unless the sweep is over folds.

    Args:
        jobs: The completed ones, of which :func:`dlrun.sweeps.jobs.in_means` takes some.
        monitor: The metric to rank by.
        mode: ``max`` if larger is better.

    Returns:
        For each group of runs: ``differs``, the values that its runs share; ``folds``, how many
        have completed; ``value``, of the metric, and ``test``, by metric, each with ``mean`` and
        ``deviation``, the sample's standard deviation. None for one that is not finite.
    """
    groups: dict[tuple[tuple[str, str], ...], list[Job]] = {}
    for job in in_means(jobs):
        if FOLD in job.differs:
            shared = tuple(item for item in job.differs.items() if item[0] != FOLD)
            groups.setdefault(shared, []).append(job)
    found = [
        {
            "differs": dict(shared),
            "folds": len(of),
            "value": _moments([job.value(monitor) for job in of]),
            "test": {
                name: _moments([job.result["test"].get(name) for job in of])
                for name in of[0].result.get("test", {})
            },
        }
        for shared, of in groups.items()
        if len(of) > 1
    ]
    sign = -1 if mode == "max" else 1

    def rank(entry: dict[str, Any]) -> tuple[bool, float]:
        mean = entry["value"]["mean"]
        return (mean is None, 0.0 if mean is None else sign * mean)

    return sorted(found, key=rank)


def _moments(values: Sequence[float | None]) -> dict[str, float | None]:
    numbers = [value for value in values if value is not None and math.isfinite(value)]
    if len(numbers) < len(values):
        return {"mean": None, "deviation": None}
    return {"mean": fmean(numbers), "deviation": stdev(numbers)}
