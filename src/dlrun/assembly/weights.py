"""Give each sample its weight in the loss: its own, times that of its class.

Import it after the backend has started.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from dlrun.assembly.check_outputs import data_may_change, task_outputs
from dlrun.assembly.classes import Weight, class_weights, samples_weights
from dlrun.assembly.model import outputs_of
from dlrun.config.schema import Config
from dlrun.data.dataset import SPLITS, Dataset, Split
from dlrun.data.tree import leaf, leaves_by_name, tree_map
from dlrun.errors import DlrunError
from dlrun.losses.sum_of_losses import with_reduction

SAMPLES = 4  # of the batch that a loss is tried on


def weigh(
    model: keras.Model,
    data: Dataset,
    config: Config,
    of_classes: Mapping[str | None, Mapping[int, Weight]] | None = None,
) -> Dataset:
    """The data set with the weights that its samples have in the loss of a model.

    Args:
        model: Compiled with the config's losses.
        data: The data set, with the weights that it was read with.
        config: The run's config.
        of_classes: The weights of the classes by output; None for
            :func:`dlrun.assembly.classes.class_weights`.

    Returns:
        The same data set if nothing is weighted. Else each split has weights, float32, in the shape
        of the loss of each output: a weight for each sample counts for each of its steps. Splits
        that are one object stay one.

    Raises:
        DlrunError: If a loss can't be weighted.
    """
    of_classes = class_weights(data, config) if of_classes is None else of_classes
    splits = {split: getattr(data, split) for split in SPLITS}
    if not of_classes and all(samples.weights is None for samples in splits.values()):
        return data
    shapes = _loss_shapes(model, data, config)
    weighted: dict[int, Split] = {}
    for split, samples in splits.items():
        if id(samples) in weighted:
            continue

        def of_output(name: str | None, split: str = split) -> np.ndarray:
            factors = []
            if (own := _data_weights(data, split, name)) is not None:
                factors.append((f"{split}.weights", own))
            if name in of_classes:
                of_samples = samples_weights(name, split, of_classes[name], data, config)
                factors.append(("task.class_weight", of_samples))
            return _product(name, len(getattr(data, split)), factors, shapes[name], config)

        weights: Any = (
            {name: of_output(name) for name in samples.labels}
            if isinstance(samples.labels, Mapping)
            else of_output(None)
        )
        weighted[id(samples)] = replace(samples, weights=weights)
    train, validation, test = (weighted[id(samples)] for samples in splits.values())
    return replace(data, train=train, validation=validation, test=test)


def _data_weights(data: Dataset, split: str, name: str | None) -> np.ndarray | None:
    """The weights that the data set has for an output; None for none."""
    weights: Any = getattr(data, split).weights
    array: np.ndarray | None = weights if name is None or weights is None else weights.get(name)
    return array


def _product(
    name: str | None,
    samples: int,
    factors: list[tuple[str, np.ndarray]],
    shape: tuple[int, ...],
    config: Config,
) -> np.ndarray:
    """The product of weights, each spread over the axes of the loss that it does not have."""
    product = np.ones((), np.float32)
    for label, weights in factors:
        if weights.shape[1:] != shape[: weights.ndim - 1]:
            loss, suffix = task_outputs(config)[name].loss, f".{name}" if name else ""
            target = loss["_target_"] if isinstance(loss, Mapping) else loss
            raise DlrunError(
                f"{label}{suffix} has shape {weights.shape}, but the values of task.loss{suffix},"
                f" {target}, have shape {(samples, *shape)}",
                hint=f"give each sample one weight, of shape ({samples},)",
            )
        axes = tuple(range(weights.ndim, 1 + len(shape)))
        product = product * np.expand_dims(weights.astype(np.float32), axes)
    return np.broadcast_to(product, (samples, *shape))


def _loss_shapes(
    model: keras.Model, data: Dataset, config: Config
) -> dict[str | None, tuple[int, ...]]:
    """The shape of one sample's loss by output: none, or the steps of a sequence."""
    spec = data.spec
    outputs = tree_map(lambda output: tuple(output.shape)[1:], outputs_of(model, spec))
    compiled = model.loss[0] if isinstance(model.loss, list) else model.loss
    shapes: dict[str | None, tuple[int, ...]] = {}
    for name, labels in leaves_by_name(spec.labels).items():
        known = [*labels.shape, *([1] * len(leaf(outputs, name)))]
        output = tuple(o or size for o, size in zip(leaf(outputs, name), known, strict=False))
        shape: tuple[int, ...] | None = None
        if name in compiled.losses and not data_may_change(config):
            dtype = "int32" if np.issubdtype(np.dtype(labels.dtype), np.integer) else "float32"
            batch = keras.KerasTensor((SAMPLES, *labels.shape), dtype)
            predicted = keras.KerasTensor((SAMPLES, *output), "float32")
            shape = _loss_shape(name, compiled.losses[name], batch, predicted)
        # Nearly every loss is a mean over the last axis.
        shapes[name] = output[:-1] if shape is None else shape
    return shapes


class _Values(keras.Operation):
    """The values of a loss before they are averaged, to be evaluated without values."""

    def __init__(self, loss: Callable[..., Any]) -> None:
        super().__init__()
        self.loss = with_reduction(loss)

    def call(self, labels: Any, outputs: Any) -> Any:
        return self.loss.call(labels, outputs)


def _loss_shape(name: str | None, loss: Any, labels: Any, outputs: Any) -> tuple[int, ...] | None:
    """The shape of one sample's loss; None if it can't be evaluated without values.

    Raises:
        DlrunError: If the loss has one value for the whole batch.
    """
    try:
        values = _Values(loss).compute_output_spec(labels, outputs)
    except Exception:  # each function raises its own
        return None
    if not values.shape:
        key = f"task.loss.{name}" if name else "task.loss"
        raise DlrunError(
            f"{key}: {loss.name} has one value for a batch, so samples can't have weights in it",
            hint="let it return a value for each sample",
        )
    return tuple(values.shape)[1:]
