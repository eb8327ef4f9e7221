"""Which models can be called in parts, one for each device, with the numbers of one call."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import keras
import ml_dtypes  # noqa: F401 - with it, NumPy knows bfloat16
import numpy as np

from dlrun.errors import DlrunError

HINT = "distribution=none device.count=1"
_LAYERS = keras.layers
# Layers whose random numbers lie along the samples, so that a device can take those of its own.
DRAWS_BY_SAMPLE = (
    _LAYERS.Dropout, _LAYERS.SpatialDropout1D, _LAYERS.SpatialDropout2D, _LAYERS.SpatialDropout3D,
    _LAYERS.GaussianDropout, _LAYERS.GaussianNoise, _LAYERS.AlphaDropout, _LAYERS.LSTM, _LAYERS.GRU,
    _LAYERS.SimpleRNN, _LAYERS.LSTMCell, _LAYERS.GRUCell, _LAYERS.SimpleRNNCell,
    _LAYERS.MultiHeadAttention, _LAYERS.GroupQueryAttention,
)  # fmt: skip


def refusal(what: str) -> DlrunError:
    """What can't be computed in parts."""
    return DlrunError(f"distribution=data_parallel: {what} computes on one device", hint=HINT)


def check_layers(model: Any) -> None:
    """Check that a model's layers compute the same in parts.

    Raises:
        DlrunError: If its step, or what a layer adds to the loss or draws, spans the batch.
    """
    if type(model).train_step is not keras.Model.train_step:
        raise refusal(f"{type(model).__name__}.train_step of the model")
    for layer in model._flatten_layers():
        if getattr(layer, "activity_regularizer", None) is not None:
            raise refusal(f"the activity_regularizer of layer '{layer.name}'")
        if layer._seed_generators and not isinstance(layer, DRAWS_BY_SAMPLE):
            raise refusal(f"layer '{layer.name}', which draws random numbers of its own,")


def moments_of_batch(
    layer: Any, inputs: Any, counted: Any, mask: Any, total: Callable[[Any], Any]
) -> tuple[Any, Any]:
    """Mean and variance of a whole batch, of which this is a part, for a BatchNormalization.

    Args:
        layer: The layer.
        inputs: Its inputs in this part.
        counted: 1 for each of their values that counts, else 0, of their shape and dtype.
        mask: Their mask, or None.
        total: The sum of a tensor over all parts.

    Returns:
        Both as Keras' ``_moments`` does, of the shape of what the layer keeps.
    """
    ops, axes = keras.ops, tuple(layer._reduction_axes)
    if mask is not None:
        counted = counted * ops.cast(ops.expand_dims(mask, -1), inputs.dtype)
    sums = ops.stack([ops.sum(inputs * counted, axes), ops.sum(counted, axes)])
    of_values, number = ops.unstack(total(sums), 2)
    number = number if mask is None else number + keras.config.epsilon()
    mean = of_values / number
    shape = [1 if axis in axes else -1 for axis in range(len(inputs.shape))]
    squares = ops.square(inputs - ops.reshape(mean, shape)) * counted
    return mean, total(ops.sum(squares, axes)) / number


def memory_of_copies(model: Any) -> list[dict[str, Any]]:
    """See :class:`dlrun.backends._spread.Distribution`: each device has the whole model."""
    rows = []
    for variable in model.variables:
        shape = list(variable.shape)
        size = prod(shape) * np.dtype(variable.dtype).itemsize
        row = {"path": variable.path, "shape": shape, "layout": [None] * len(shape)}
        rows.append({**row, "bytes": size, "device_bytes": size})
    return rows
