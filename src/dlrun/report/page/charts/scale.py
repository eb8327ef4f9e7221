"""Axes: round ticks, and where a value lies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """A linear axis from ``low`` at ``start`` to ``high`` at ``end``, in the units of a drawing."""

    low: float
    high: float
    start: float
    end: float

    def place(self, value: float) -> float:
        """Where a value lies."""
        span = self.high - self.low
        return self.start + (value - self.low) / span * (self.end - self.start)


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round values from at most ``low`` to at least ``high``, about ``count`` of them."""
    if not high > low:
        margin = abs(low) * 0.05 or 1.0
        low, high = low - margin, high + margin
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [float(f"{number * step:.12g}") for number in range(first, last + 1)]


def whole_ticks(low: float, high: float, count: int = 6) -> list[float]:
    """Round whole values within the bounds, for an axis of epochs."""
    step = max(1, math.ceil(ticks(0, max(high - low, 1), count)[1]))
    inside = range(math.ceil(low / step) * step, math.floor(high) + 1, step)
    return sorted({low, *map(float, inside)}) if high > low else [low]


def bounds(values: Sequence[float]) -> tuple[float, float]:
    """The smallest and the largest value that a chart shows.

    Single values far above the rest, as a first loss of thousands, would flatten all others: with
    20 values or more, what is above the 95th percentile by more than the range below it is cut.
    """
    ordered = sorted(values)
    low, high = ordered[0], ordered[-1]
    if len(ordered) >= 20:
        usual = ordered[int(0.95 * (len(ordered) - 1))]
        if high - usual > 3 * (usual - low) > 0:
            high = usual + (usual - low) * 0.5
    return low, high


def label(value: float) -> str:
    """A tick's text."""
    if value == 0:
        return "0"
    if abs(value) >= 1e6 or abs(value) < 1e-3:
        return f"{value:.2g}"
    return f"{value:,.6g}"
