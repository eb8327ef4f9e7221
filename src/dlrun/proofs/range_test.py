"""The numbers of a learning-rate range test: when it diverges, and which rate to take.

Source: Smith, Cyclical Learning Rates for Training Neural Networks, 2017. The curve is judged by
its slope, as in the learning-rate finders of fastai and Lightning.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

DIVERGES = 4.0  # times the lowest mean loss
SETTLES = 0.1  # of the steps: the start, which the others are compared with
FEWEST = 10  # steps that a curve is judged by


class Divergence:
    """Tells from the losses so far whether the test has diverged.

    Args:
        smoothing: The weight of the past in the running mean, from 0 and below 1.
    """

    def __init__(self, smoothing: float) -> None:
        self._smoothing = smoothing
        self._sum = self._weight = 0.0
        self._first = self._lowest = math.nan

    def add(self, loss: float) -> bool:
        """Take the next loss.

        Returns:
            Whether it is not finite, or the running mean is above 4 times its lowest value and
            above the first loss.
        """
        if not math.isfinite(loss):
            return True
        self._sum = self._smoothing * self._sum + loss
        self._weight = self._smoothing * self._weight + 1
        mean = self._sum / self._weight
        if math.isnan(self._first):
            self._first = self._lowest = mean
        self._lowest = min(self._lowest, mean)
        bound = self._lowest + (DIVERGES - 1) * abs(self._lowest)  # a loss may be negative
        return mean > max(bound, self._first)


def smooth(losses: Sequence[float], smoothing: float) -> np.ndarray:
    """The mean of all losses around each one, without the delay of a running mean.

    A loss counts ``smoothing ** distance``, by its distance in steps. A loss above the highest one
    of the first tenth counts as that one, so that the explosion at the end stays at the end.

    Args:
        losses: In order; all are finite.
        smoothing: From 0 and below 1.

    Returns:
        Shape ``(len(losses),)``, float64.
    """
    values = np.asarray(losses, "float64")
    values = np.minimum(values, values[: _steps_to_settle(len(values))].max())
    total, weight = (
        _sums(of, smoothing) + _sums(of[::-1], smoothing)[::-1] - of
        for of in (values, np.ones_like(values))
    )
    means: np.ndarray = total / weight
    return means


def _steps_to_settle(steps: int) -> int:
    return math.ceil(SETTLES * steps)


def _sums(values: np.ndarray, smoothing: float) -> np.ndarray:
    """Each value with all before it, which fade by ``smoothing`` a step."""
    sums = np.empty_like(values)
    total = 0.0
    for place, value in enumerate(values):
        total = smoothing * total + float(value)
        sums[place] = total
    return sums


class Suggestion(NamedTuple):
    """The place of a curve to take the rate from.

    Args:
        place: An index into the curve; None if the loss does not fall.
        lowest: The index of the lowest smoothed loss.
        reason: Why there is no place; empty if there is one.
    """

    place: int | None
    lowest: int
    reason: str = ""


def suggest(rates: Sequence[float], losses: Sequence[float], means: np.ndarray) -> Suggestion:
    """Where the smoothed loss falls fastest over the logarithm of the learning rate.

    The slope is that of central differences. The first tenth of the steps and what comes after the
    lowest loss are left out.

    Args:
        rates: The learning rate of each step, ascending.
        losses: The loss of each step.
        means: From :func:`smooth`.
    """
    lowest = int(np.argmin(means))
    if len(losses) < FEWEST:
        return Suggestion(None, lowest, f"there are too few steps to judge by, {len(losses)}")
    first = _steps_to_settle(len(losses))
    before = slice(0, lowest + 1)
    fall = float(means[0] - means[lowest])
    scatter = float(np.std(np.asarray(losses, "float64")[before] - means[before]))
    if lowest <= first or not fall > scatter:
        return Suggestion(None, lowest, "the loss does not fall by more than batches differ")
    slopes = np.gradient(means, np.log(np.asarray(rates, "float64")))
    return Suggestion(first + int(np.argmin(slopes[first : lowest + 1])), lowest)
