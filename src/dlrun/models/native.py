"""What the layers around a framework's own networks have in common."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from dlrun.errors import DlrunError


def require_backend(backend: str, what: str) -> None:
    """Require a backend.

    Args:
        backend: Its name.
        what: What needs it.

    Raises:
        DlrunError: If another is in use.
    """
    used = keras.backend.backend()
    if used != backend:
        raise DlrunError(
            f"{what} computes on backend={backend} alone, not on {used}",
            hint=f"backend={backend}; to export it, --format safetensors,"
            f" or one that {backend} writes",
        )


def native_model(input_shape: Any, layer: keras.layers.Layer) -> keras.Model:
    """A model of one layer.

    Args:
        input_shape: One sample's shape, or shapes by name.
        layer: Takes a tensor of that shape, or a mapping of tensors.
    """
    inputs = (
        {name: keras.Input(shape, name=name) for name, shape in input_shape.items()}
        if isinstance(input_shape, Mapping)
        else keras.Input(input_shape)
    )
    return keras.Model(inputs, layer(inputs), name=f"{layer.name}_model")


def named_variable(
    layer: keras.layers.Layer,
    path: Sequence[str],
    value: Any,
    *,
    trainable: bool,
    autocast: bool = False,
) -> keras.Variable:
    """A variable with its own name, which no other layer changes, for an attribute of a layer.

    ``add_weight`` takes no path.

    Args:
        layer: The layer, in its ``build``.
        path: The name, below that of the layer.
        value: A tensor of the backend. Floats take the layer's dtype.
        trainable: Whether it trains.
        autocast: Whether mixed precision casts it.
    """
    dtype = keras.backend.standardize_dtype(value.dtype)
    with contextlib.ExitStack() as stack:
        for scope in path[:-1]:
            stack.enter_context(keras.name_scope(scope))
        return keras.Variable(
            lambda shape, dtype: value,
            shape=tuple(value.shape),
            dtype=layer.variable_dtype if "float" in dtype else dtype,
            trainable=trainable,
            autocast=autocast,
            name=path[-1],
        )


def refuse_to_save(what: str) -> Callable[[keras.layers.Layer], dict[str, Any]]:
    """A ``get_config`` that refuses: Keras would pickle what a layer holds."""

    def get_config(layer: keras.layers.Layer) -> dict[str, Any]:
        raise DlrunError(
            f"a .keras file can't hold {what}, which Keras would pickle",
            hint="leave this format out: evaluate and predict work without it",
            exit_code=1,
        )

    return get_config
