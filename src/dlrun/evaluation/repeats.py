"""Repeats of one setting over seeds or folds, as one result; and whether two settings differ."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

from dlrun.evaluation.student import critical, two_sided_p

LEVEL = 0.95
SIGNIFICANT = 0.05
PAIRED, WELCH = "paired t", "Welch's t"


def summary(values: Sequence[float | None], mode: str | None) -> dict[str, Any]:
    """Mean, deviation, interval and the worst of a metric over repeats.

    Args:
        values: Of each repeat.
        mode: ``min`` or ``max``, whichever is better; None if unknown.

    Returns:
        ``n``; ``mean``; ``deviation``, the sample's standard deviation; ``low`` and ``high``,
        Student's 95 % interval of the mean; ``worst``. None for one that can't be told: all of them
        if a value is not finite, and deviation and interval of a single value.
    """
    numbers = [value for value in values if value is not None and math.isfinite(value)]
    found: dict[str, Any] = dict.fromkeys(("mean", "deviation", "low", "high", "worst"))
    if numbers and len(numbers) == len(values):
        found["mean"] = fmean(numbers)
        if mode is not None:
            found["worst"] = (min if mode == "max" else max)(numbers)
        if len(numbers) > 1:
            deviation = stdev(numbers)
            half = critical(LEVEL, len(numbers) - 1) * deviation / math.sqrt(len(numbers))
            low, high = found["mean"] - half, found["mean"] + half
            found |= {"deviation": deviation, "low": low, "high": high}
    return {"n": len(values), **found}


def difference(
    one: Mapping[Hashable, float], other: Mapping[Hashable, float]
) -> dict[str, Any] | None:
    """Whether two settings differ by more than their repeats do.

    Args:
        one: The value of each repeat, by seed or fold; finite.
        other: Of the other setting.

    Returns:
        ``test``: a paired t-test if both have the same repeats, else Welch's; ``difference`` of the
        means, other less one, with its 95 % interval from ``low`` to ``high``; ``t``, ``freedom``
        and the two-sided ``p``; ``differs``, whether p is below 0.05. None with fewer than two
        repeats of a setting.
    """
    if min(len(one), len(other)) < 2:
        return None
    paired = one.keys() == other.keys()
    if paired:
        gaps = [other[key] - one[key] for key in one]
        mean, freedom = fmean(gaps), float(len(gaps) - 1)
        error = stdev(gaps) / math.sqrt(len(gaps))
    else:
        first, second = list(one.values()), list(other.values())
        mean = fmean(second) - fmean(first)
        parts = [stdev(values) ** 2 / len(values) for values in (first, second)]
        error = math.sqrt(sum(parts))
        below = sum(
            part**2 / (len(values) - 1) for part, values in zip(parts, (first, second), strict=True)
        )
        freedom = sum(parts) ** 2 / below if below else float(len(first) + len(second) - 2)
    t = mean / error if error else math.copysign(math.inf, mean) if mean else 0.0
    p = two_sided_p(t, freedom)
    half = critical(LEVEL, freedom) * error
    return {
        "test": PAIRED if paired else WELCH,
        "difference": mean,
        "low": mean - half,
        "high": mean + half,
        "t": t if math.isfinite(t) else None,
        "freedom": freedom,
        "p": p,
        "differs": p < SIGNIFICANT,
    }
