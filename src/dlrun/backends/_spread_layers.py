"""Which models can be called in parts, one for each device, with the numbers of one call."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import keras
import ml_dtypes  # noqa: F401 - with it, NumPy knows bfloat16
import numpy as np

from dlrun.backends._protocols import Backend
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


def check_samples(model: Any, inputs: Any, backend: Backend) -> None:
    """Check that a model computes each sample by itself, apart from BatchNormalization.

    A layer that takes the mean of a batch, say, would get that of a part. The model is called with
    a sample twice, and with it and another: its outputs and what it keeps have to be the same.

    Args:
        model: A built model, which this does not change.
        inputs: Some samples, as the model takes them: an array ``(samples, ...)``, or a mapping of
            them. Where all are alike, nothing is checked.
        backend: The module of the backend, whose random numbers go on as if nothing were drawn.

    Raises:
        DlrunError: If what it computes of a sample depends on the others of its batch.
    """
    other = _other_sample(inputs)
    variables = [*model.trainable_variables, *model.non_trainable_variables]
    state = [(variable, variable.value) for variable in variables]
    random = [np.array(part) for part in backend.random_state()]

    def call(beside: int) -> tuple[list[Any], list[Any]]:
        backend.set_random_state(random)
        pair = keras.tree.map_structure(lambda array: np.asarray(array)[[0, beside]], inputs)
        with keras.StatelessScope(state) as scope:
            outputs = keras.tree.flatten(model(pair, training=True))
            kept = [scope.get_current_value(v) for v in model.non_trainable_variables]
        arrays = [keras.ops.convert_to_numpy(output) for output in outputs]
        firsts = [array[: len(array) // 2] for array in arrays if array.ndim]
        return firsts, [keras.ops.convert_to_numpy(value) for value in kept]

    of_batch = _LAYERS.BatchNormalization._moments
    _LAYERS.BatchNormalization._moments = _kept_moments
    try:
        (outputs, kept), (others, kept_then) = call(0), call(other)
        changed = [not _are_close(*pair) for pair in zip(kept, kept_then, strict=True)]
        differs = not all(map(_are_close, outputs, others))
        # What differs for the same samples too draws random numbers, and is refused for that.
        if (any(changed) or differs) and all(map(_are_close, outputs, call(0)[0])):
            paths = [v.path for v in model.non_trainable_variables]
            raise refusal(
                f"a layer that keeps in {paths[changed.index(True)]} what it finds in a batch"
                if any(changed)
                else "a model whose outputs of a sample depend on the others of its batch"
            )
    finally:
        _LAYERS.BatchNormalization._moments = of_batch
        backend.set_random_state(random)
        model._clear_losses()


def _kept_moments(layer: Any, inputs: Any, mask: Any) -> tuple[Any, Any]:
    return layer.moving_mean, layer.moving_variance


def _other_sample(inputs: Any) -> int:
    """The first sample that differs from sample 0, which stands for none."""
    differs = [
        np.any(array != array[:1], axis=tuple(range(1, np.ndim(array))))
        for array in map(np.asarray, keras.tree.flatten(inputs))
    ]
    return int(np.argmax(np.any(differs, axis=0)))


def _are_close(array: Any, other: Any) -> bool:
    """Whether two arrays differ by no more than another order of sums may make them."""
    array, other = (np.asarray(values, "float64") for values in (array, other))
    size = np.max(np.abs(array), initial=0, where=np.isfinite(array))
    return bool(np.allclose(array, other, rtol=1e-4, atol=1e-5 * size, equal_nan=True))


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
