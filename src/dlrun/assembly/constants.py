"""Tensors that a layer has computed while Keras only looked for its shapes.

Keras builds what a subclassed model or layer holds in a symbolic call. A tensor that a layer keeps
from there has no values: jax and tensorflow fail where it is used, and on torch it takes those of
memory that was never set. ``keras.layers.Normalization`` keeps its mean and variance so.

Import it after the backend has started.
"""

from collections.abc import Iterator
from typing import Any

import keras

from dlrun.errors import DlrunError

_KERAS_OWN = frozenset(vars(keras.layers.Layer()))


def compute_again(model: keras.Model) -> bool:
    """Let each layer that can compute its lost tensors again do so.

    Args:
        model: Built, or as far as it could be.

    Returns:
        Whether any layer has lost a tensor.
    """
    lost = list(_lost_tensors(model))
    for layer, _ in lost:
        if isinstance(layer, keras.layers.Normalization):
            layer.build_from_config(layer.get_build_config())
    return bool(lost)


def require_values(model: keras.Model) -> None:
    """Refuse a layer that keeps a tensor without values.

    Args:
        model: It has been called with values, so that what ``call`` keeps has them.

    Raises:
        DlrunError: Names the layer and the attribute.
    """
    for layer, name in _lost_tensors(model):
        raise DlrunError(
            f"model: the layer {layer.name!r}, a {type(layer).__name__}, keeps a tensor as"
            f" {name!r}, which has no values: Keras called its build() for the shapes alone",
            hint="keep a NumPy array there, or a weight: self.add_weight(trainable=False, ...)",
        )


def _lost_tensors(model: keras.Model) -> Iterator[tuple[Any, str]]:
    for layer in model._flatten_layers():
        for name, value in list(vars(layer).items()):
            if name not in _KERAS_OWN and _has_no_values(value):
                yield layer, name


def _has_no_values(value: Any) -> bool:
    tensors = value if isinstance(value, list | tuple) else [value]
    return any(keras.ops.is_tensor(tensor) and not _can_be_read(tensor) for tensor in tensors)


def _can_be_read(tensor: Any) -> bool:
    try:
        keras.ops.convert_to_numpy(tensor)
    except Exception:  # of each backend's own kind
        return False
    return True
