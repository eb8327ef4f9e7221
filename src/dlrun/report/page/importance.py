"""How much each key of a sweep matters for its monitored metric."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from dlrun.report.page.reading import finite

BINS = 5  # equal parts of a key of many numbers
FEW = 6  # a key of at most so many values is not cut into parts
UNSET = "not set"  # in place of a value that the runs of a condition alone have
LEAST = 4  # runs, below which nothing can be said


@dataclass(frozen=True)
class Importance:
    """What a key explains.

    Args:
        key: The key.
        share: Of the variance of the ranks that its values explain alone, from 0 to 1; adjusted
            for their number, so that a key of many values is not important by chance.
        groups: How many values, or parts of their range, it was judged by.
        best: The value, or the range, with the best mean rank.
    """

    key: str
    share: float
    groups: int
    best: str


def importances(
    keys: Sequence[str], settings: Sequence[Mapping[str, str]], values: Sequence[float], mode: str
) -> list[Importance]:
    """The keys, the most important first; none for too few runs.

    Ranks stand for the values, as one run whose loss has exploded would outweigh all others.

    Args:
        keys: The keys that differ between the runs.
        settings: For each run, its values by key.
        values: For each run, the monitored metric; finite.
        mode: ``max`` if larger is better.
    """
    if len(values) < LEAST or len(set(values)) < 2:
        return []
    ranks = ranks_of(values)
    found = []
    for key in keys:
        groups = group([setting.get(key, UNSET) for setting in settings])
        if len(groups) > 1:
            sign = -1 if mode == "max" else 1
            best = min(groups, key=lambda name: sign * fmean(ranks[run] for run in groups[name]))
            share = explained_share(list(groups.values()), ranks)
            found.append(Importance(key, share, len(groups), best))
    return sorted(found, key=lambda of: -of.share)


def explained_share(groups: Sequence[Sequence[int]], values: Sequence[float]) -> float:
    """The share of the variance that lies between groups, adjusted for their number."""
    count, mean = len(values), fmean(values)
    total = sum((value - mean) ** 2 for value in values)
    if not total or count <= len(groups):
        return 0.0
    within = 0.0
    for runs in groups:
        middle = fmean(values[run] for run in runs)
        within += sum((values[run] - middle) ** 2 for run in runs)
    return max(0.0, 1 - (within / total) * (count - 1) / (count - len(groups)))


def ranks_of(values: Sequence[float]) -> list[float]:
    """The rank of each value, from 1; equal ones share the mean of their ranks."""
    places: dict[float, list[int]] = defaultdict(list)
    for place, value in enumerate(sorted(values), 1):
        places[value].append(place)
    return [fmean(places[value]) for value in values]


def group(texts: Sequence[str]) -> dict[str, list[int]]:
    """The runs by the value of a key; numbers of which there are many, by equal parts.

    Runs that do not set it, as of a key under a condition, are a group of their own.
    """
    groups: dict[str, list[int]] = defaultdict(list)
    numbers = {run: finite(text) for run, text in enumerate(texts) if text != UNSET}
    if len(set(texts)) <= FEW or None in numbers.values():
        for run, text in enumerate(texts):
            groups[text].append(run)
        return dict(groups)
    order = sorted(numbers, key=lambda run: numbers[run] or 0.0)
    for part in range(BINS):
        runs = order[part * len(order) // BINS : (part + 1) * len(order) // BINS]
        if runs:
            low, high = (numbers[run] or 0.0 for run in (runs[0], runs[-1]))
            groups[f"{low:.4g} to {high:.4g}"] += runs
    if unset := [run for run, text in enumerate(texts) if text == UNSET]:
        groups[UNSET] = unset
    return dict(groups)
