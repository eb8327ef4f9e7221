"""Standardized inputs: mean 0 and standard deviation 1, value by value."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from dlrun.data.tree import Arrays, Tree, as_tree, leaves, tree_map
from dlrun.errors import DlrunError

MAX_VALUES = 10_000  # per sample; the statistics are kept as text
MAX_ARRAYS = 1_000


@dataclass(frozen=True)
class Statistics:
    """Of each value of a sample, flattened.

    Args:
        mean: The mean.
        deviation: The standard deviation of the population; 1 where all are equal.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    @classmethod
    def of(cls, array: np.ndarray) -> Statistics:
        """Measure an array ``(samples, *shape)`` of integers or floats, in float64.

        What is not finite is left out, so that a check of the data finds it where it is.
        """
        values = array.reshape(len(array), -1).astype(np.float64)
        finite = np.isfinite(values)
        count = np.maximum(finite.sum(axis=0), 1)
        mean = np.where(finite, values, 0).sum(axis=0) / count
        deviation = np.sqrt((np.where(finite, values - mean, 0) ** 2).sum(axis=0) / count)
        lowest = np.where(finite, values, np.inf).min(axis=0, initial=np.inf)
        highest = np.where(finite, values, -np.inf).max(axis=0, initial=-np.inf)
        constant = lowest >= highest  # whose mean may be off by a rounding
        mean[constant], deviation[constant] = np.where(np.isfinite(lowest), lowest, 0)[constant], 1
        return cls(tuple(mean.tolist()), tuple(deviation.tolist()))

    def standardize(self, array: np.ndarray) -> np.ndarray:
        """An array ``(samples, *shape)`` standardized by these statistics, float32.

        Raises:
            ValueError: If a sample has another number of values, or they are not numbers.
        """
        _require_numbers(array)
        if (values := math.prod(array.shape[1:])) != len(self.mean):
            raise ValueError(f"a sample has {values} values, expected {len(self.mean)}")
        flat = array.reshape(len(array), -1).astype(np.float64)
        standardized: np.ndarray = (flat - self.mean) / self.deviation
        return standardized.astype(np.float32).reshape(array.shape)


@dataclass(frozen=True)
class Standardize:
    """Subtract the mean of each value, and divide by its standard deviation.

    Args:
        statistics: Over the training split; a mapping for several inputs.
    """

    statistics: Tree[Statistics]

    @classmethod
    def fit(cls, inputs: Arrays) -> Standardize:
        """Measure the inputs of the training split.

        Args:
            inputs: An array ``(samples, *shape)`` of integers or floats, or a mapping of several.

        Raises:
            DlrunError: If a sample has more values than statistics are kept for.
            ValueError: If an array holds no numbers.
        """
        for array in leaves(inputs):
            _require_numbers(array)
            if (values := math.prod(array.shape[1:])) > MAX_VALUES:
                raise DlrunError(
                    f"standardize: a sample has {values:,} values, more than {MAX_VALUES:,}",
                    hint="scale pixels by data.scale=255",
                )
        return cls(tree_map(Statistics.of, inputs))

    @property
    def names(self) -> tuple[str, ...]:
        """See :class:`dlrun.data.preprocessing.Step`."""
        return ()

    def apply(self, inputs: Arrays) -> Arrays:
        """Standardized inputs, float32; see :class:`dlrun.data.preprocessing.Step`."""
        if not isinstance(self.statistics, Mapping):
            return self.statistics.standardize(cast(np.ndarray, inputs))
        if not isinstance(inputs, Mapping) or (missing := self.statistics.keys() - inputs.keys()):
            names = sorted(missing) if isinstance(inputs, Mapping) else list(self.statistics)
            raise ValueError(f"there is no array '{names[0]}'")
        return {n: s.standardize(inputs[n]) for n, s in self.statistics.items()}

    def state(self) -> dict[str, Any]:
        """See :class:`dlrun.data.preprocessing.Step`."""
        several = isinstance(self.statistics, Mapping)
        named = self.statistics if several else {None: self.statistics}
        return {
            "arrays": [
                {"name": name, "mean": list(of.mean), "deviation": list(of.deviation)}
                for name, of in cast("Mapping[str | None, Statistics]", named).items()
            ]
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Standardize:
        """See :class:`dlrun.data.preprocessing.Step`."""
        arrays = state.get("arrays")
        if set(state) != {"arrays"} or not isinstance(arrays, list):
            raise ValueError("standardize needs a list of arrays")
        if not 0 < len(arrays) <= MAX_ARRAYS:
            raise ValueError(f"standardize is for 1 to {MAX_ARRAYS:,} arrays")
        statistics = dict(map(_statistics, arrays))
        if len(statistics) < len(arrays) or (None in statistics and len(arrays) > 1):
            raise ValueError("standardize has two arrays of one name")
        return cls(as_tree(statistics))


def _require_numbers(array: np.ndarray) -> None:
    if array.dtype.kind not in "biuf":
        raise ValueError(f"expected integers or floats, got dtype {array.dtype}")


def _statistics(entry: Any) -> tuple[str | None, Statistics]:
    if not isinstance(entry, dict) or set(entry) != {"name", "mean", "deviation"}:
        raise ValueError("standardize needs name, mean and deviation of each array")
    mean, deviation = _numbers(entry["mean"]), _numbers(entry["deviation"])
    if len(mean) != len(deviation):
        raise ValueError("standardize has as many means as deviations")
    if not all(value > 0 for value in deviation):
        raise ValueError("standardize has a deviation that is not above 0")
    if not isinstance(name := entry["name"], str | None):
        raise ValueError(f"standardize has the name {name!a:.80}")
    return name, Statistics(mean, deviation)


def _numbers(values: Any) -> tuple[float, ...]:
    if not isinstance(values, list) or not 0 < len(values) <= MAX_VALUES:
        raise ValueError(f"standardize keeps 1 to {MAX_VALUES:,} numbers")
    if not all(type(value) in (int, float) and math.isfinite(value) for value in values):
        raise ValueError("standardize keeps finite numbers")
    return tuple(map(float, values))
