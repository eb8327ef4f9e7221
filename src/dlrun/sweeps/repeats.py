"""The runs of a sweep that differ in their seed or fold alone, as one result."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from dlrun.config.sweeps.repeats import REPEATS
from dlrun.evaluation.repeats import summary
from dlrun.runs.metric_direction import direction
from dlrun.sweeps.jobs import Job, in_means


def repeat_results(
    jobs: Iterable[Job], keys: Sequence[str], monitor: str, mode: str
) -> list[dict[str, Any]]:
    """One result for each set of otherwise equal runs, best mean first.

    Args:
        jobs: The completed ones, of which :func:`dlrun.sweeps.jobs.in_means` takes some.
        keys: The keys that differ between the runs of the sweep.
        monitor: The metric to rank by.
        mode: ``max`` if larger is better.

    Returns:
        For each: ``differs``, the values that its runs share; ``over``, the keys that repeat it;
        ``n``; ``runs``, their numbers; ``value``, of the metric, and ``test``, by metric, each as
        from :func:`dlrun.evaluation.repeats.summary`. Empty if no key repeats runs.
    """
    over = [key for key in keys if key in REPEATS]
    groups: dict[tuple[tuple[str, str], ...], list[Job]] = {}
    for job in in_means(jobs) if over else ():
        shared = tuple(item for item in job.differs.items() if item[0] not in over)
        groups.setdefault(shared, []).append(job)
    found: list[dict[str, Any]] = [
        {
            "differs": dict(shared),
            "over": over,
            "n": len(of),
            "runs": sorted(job.number for job in of),
            "value": summary([job.value(monitor) for job in of], mode),
            "test": {
                name: summary([job.result["test"].get(name) for job in of], direction(name, {}))
                for name in of[0].result.get("test", {})
            },
        }
        for shared, of in groups.items()
    ]
    sign = -1 if mode == "max" else 1

    def rank(entry: dict[str, Any]) -> tuple[bool, float]:
        mean = entry["value"]["mean"]
        return (mean is None, 0.0 if mean is None else sign * mean)

    return sorted(found, key=rank) if any(entry["n"] > 1 for entry in found) else []
