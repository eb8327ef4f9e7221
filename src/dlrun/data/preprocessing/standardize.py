"""Standardized inputs: mean 0 and standard deviation 1, value by value."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dlrun.data.dataset import Dataset, Split
from dlrun.data.tree import Arrays
from dlrun.errors import DlrunError

MAX_VALUES = 10_000  # per sample; the statistics are kept as text


@dataclass(frozen=True)
class Standardize:
    """Subtract the mean of each value, and divide by its standard deviation.

    Args:
        mean: Of each value of a sample, flattened, over the training split.
        deviation: The standard deviation of each value, of the population; 1 where all are equal.
        name: The input, where there are several; the others are left as they are.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    name: str | None = None

    @classmethod
    def fit(cls, array: np.ndarray, name: str | None = None) -> Standardize:
        """Measure an array ``(samples, *shape)`` of integers or floats, in float64.

        What is not finite is left out, so that a check of the data finds it where it is.
        """
        values = array.reshape(len(array), -1).astype(np.float64)
        finite = np.isfinite(values)
        count = np.maximum(finite.sum(axis=0), 1)
        mean = np.where(finite, values, 0).sum(axis=0) / count
        deviation = np.sqrt((np.where(finite, values - mean, 0) ** 2).sum(axis=0) / count)
        lowest = np.where(finite, values, np.inf).min(axis=0)
        highest = np.where(finite, values, -np.inf).max(axis=0)
        constant = lowest >= highest  # whose mean may be off by a rounding
        mean[constant], deviation[constant] = np.where(np.isfinite(lowest), lowest, 0)[constant], 1
        return cls(tuple(mean.tolist()), tuple(deviation.tolist()), name)

    @property
    def names(self) -> tuple[str, ...]:
        """See :class:`dlrun.data.preprocessing.Step`."""
        return ()

    def apply(self, inputs: Arrays) -> Arrays:
        """Standardized inputs, float32; see :class:`dlrun.data.preprocessing.Step`."""
        if self.name is None:
            return self._apply(inputs)
        if not isinstance(inputs, Mapping) or self.name not in inputs:
            raise ValueError(f"has no array '{self.name}'")
        return {**inputs, self.name: self._apply(inputs[self.name])}

    def _apply(self, array: Any) -> np.ndarray:
        if math.prod(array.shape[1:]) != len(self.mean):
            raise ValueError(
                f"a sample has {math.prod(array.shape[1:])} values, expected {len(self.mean)}"
            )
        values = array.reshape(len(array), -1).astype(np.float64)
        standardized: np.ndarray = (values - self.mean) / self.deviation
        return standardized.astype(np.float32).reshape(array.shape)

    def state(self) -> dict[str, Any]:
        """See :class:`dlrun.data.preprocessing.Step`."""
        return {"name": self.name, "mean": list(self.mean), "deviation": list(self.deviation)}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Standardize:
        """See :class:`dlrun.data.preprocessing.Step`."""
        if set(state) != {"name", "mean", "deviation"}:
            raise ValueError("standardize needs name, mean and deviation")
        mean, deviation = _numbers(state["mean"]), _numbers(state["deviation"])
        if len(mean) != len(deviation):
            raise ValueError("standardize has as many means as deviations")
        if not all(value > 0 for value in deviation):
            raise ValueError("standardize has a deviation that is not above 0")
        if not isinstance(name := state["name"], str | None):
            raise ValueError(f"standardize has the name {name!a:.80}")
        return cls(mean, deviation, name)


def standardize_inputs(data: Dataset) -> Dataset:
    """A data set with its inputs standardized by their statistics over the training split.

    Args:
        data: With one input, or several by name.

    Raises:
        DlrunError: If a sample has more values than statistics are kept for.
    """
    inputs = data.train.inputs
    arrays = inputs if isinstance(inputs, Mapping) else {None: inputs}
    for name, array in arrays.items():
        if (values := math.prod(array.shape[1:])) > MAX_VALUES:
            raise DlrunError(
                f"data.standardize: a sample has {values:,} values, more than {MAX_VALUES:,}",
                hint="scale pixels by data.scale=255",
            )
        step = Standardize.fit(array, name)
        data = replace(
            data,
            train=_applied(step, data.train),
            validation=_applied(step, data.validation),
            test=_applied(step, data.test),
            preprocessing=(*data.preprocessing, step),
        )
    return data


def _applied(step: Standardize, split: Split) -> Split:
    return Split(step.apply(split.inputs), split.labels)


def _numbers(values: Any) -> tuple[float, ...]:
    if not isinstance(values, list) or not 0 < len(values) <= MAX_VALUES:
        raise ValueError(f"standardize keeps 1 to {MAX_VALUES:,} numbers")
    if not all(type(value) in (int, float) and math.isfinite(value) for value in values):
        raise ValueError("standardize keeps finite numbers")
    return tuple(map(float, values))
