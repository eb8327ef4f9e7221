"""A model's inputs and outputs, saved with each run so that prediction needs no training data."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np

from dlrun.data.preprocessing import Step
from dlrun.data.scaling import integer_inputs, scale_inputs
from dlrun.data.targets import Target
from dlrun.data.tree import Arrays, Tree, map_named, tree_map

OneStep = TypeVar("OneStep")


@dataclass(frozen=True)
class ArraySpec:
    """One array of a sample.

    Args:
        shape: The shape without the samples axis.
        dtype: NumPy's name for the dtype in memory.
    """

    shape: tuple[int, ...]
    dtype: str

    @classmethod
    def of(cls, array: Any) -> ArraySpec:
        """The spec of an array ``(samples, *shape)``."""
        return cls(tuple(int(axis) for axis in array.shape[1:]), np.dtype(array.dtype).name)


@dataclass(frozen=True)
class InputSpec:
    """What a model needs to know about a data set, without its samples.

    Args:
        inputs: The input, or a mapping of several inputs.
        labels: The label, or a mapping of several labels.
        num_classes: The number of classes, or 1 for a numeric label; a mapping if the labels are
            one.
        scale: Divisor of integer inputs in a batch.
        preprocessing: The steps from samples as a user has them to ``inputs``, in order.
        sizes: For inputs of ids, the number that they are below, for each value or for all; None
            names a single input.
        targets: What the labels were made of; None if the labels are all that is known.
        integers: From :func:`~dlrun.data.scaling.integer_inputs`; not saved, as the model tells.
    """

    inputs: Tree[ArraySpec]
    labels: Tree[ArraySpec]
    num_classes: Tree[int]
    scale: float = 1.0
    preprocessing: tuple[Step, ...] = ()
    sizes: Mapping[str | None, tuple[int, ...]] = field(default_factory=dict)
    targets: Tree[Target] | None = None
    integers: frozenset[str | None] = frozenset()

    @property
    def input_shape(self) -> Tree[tuple[int, ...]]:
        """The shape of one sample's inputs; a mapping if the inputs are one."""
        return tree_map(lambda spec: spec.shape, self.inputs)

    @property
    def label_shape(self) -> Tree[tuple[int, ...]]:
        """The shape of one sample's labels; a mapping if the labels are one."""
        return tree_map(lambda spec: spec.shape, self.labels)

    @property
    def raw_names(self) -> tuple[str, ...]:
        """The names of the arrays that a user has; empty for a single one without a name."""
        inputs = tuple(self.inputs) if isinstance(self.inputs, Mapping) else ()
        return next((step.names for step in self.preprocessing if step.names), inputs)

    def step(self, kind: type[OneStep]) -> OneStep | None:
        """The step of a class; None if the run has none."""
        return next((step for step in self.preprocessing if isinstance(step, kind)), None)

    def match(self, model: Any) -> InputSpec:
        """The spec for a model, which may take some of its inputs as integers."""
        return replace(self, integers=integer_inputs(model))

    def scale_of(self, name: str | None) -> float | None:
        """The ``scale`` of an input for ``scaled``: None if the model takes integers."""
        return None if name in self.integers else self.scale

    def preprocess(self, raw: Arrays) -> Arrays:
        """Apply the fitted steps to samples as a user has them; the data set's are preprocessed.

        Args:
            raw: An array ``(samples, ...)``, or a mapping of those of :attr:`raw_names`.

        Returns:
            Arrays in the form of ``inputs``.

        Raises:
            ValueError: If they are not of the form that a step was fitted to.
        """
        for step in self.preprocessing:
            raw = step.apply(raw)
        return raw

    def prepare(self, inputs: Arrays) -> Arrays:
        """Prepare a batch of inputs for the model.

        Args:
            inputs: An array ``(batch, *input_shape)`` of integers or floats, or a mapping of
                several.

        Returns:
            The same shapes, float32: integers are divided by ``scale``. Integers that the model
            takes as such are int32, and not divided.
        """
        return map_named(self._prepare_array, inputs)

    def _prepare_array(self, name: str | None, inputs: np.ndarray) -> np.ndarray:
        is_integer, scale = np.issubdtype(inputs.dtype, np.integer), self.scale_of(name)
        prepared: np.ndarray = scale_inputs(
            inputs, scale, is_integer=is_integer, cast=_float32, divide=operator.itruediv
        )
        dtype = np.int32 if is_integer and scale is None else np.float32
        return prepared.astype(dtype, copy=False)


def _float32(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32, copy=False)
