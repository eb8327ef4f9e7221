"""Recurrent layers as plain steps, for formats that can't hold Keras' loop over them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def unroll(model: Any) -> Iterator[None]:
    """Unroll the recurrent layers of a Keras model meanwhile; their values stay the same."""
    import keras

    layers = [
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.RNN) and not layer.unroll
    ]
    for layer in layers:
        layer.unroll = True
    try:
        yield
    finally:
        for layer in layers:
            layer.unroll = False
