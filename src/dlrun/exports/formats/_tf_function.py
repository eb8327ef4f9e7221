"""A Keras model on TensorFlow as a function of named tensors, with a free batch size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dlrun.exports.content import INPUT, OUTPUT, Content


def serving_function(model: Any, content: Content) -> Any:
    """A ``tf.function`` from inputs by name to outputs by name.

    Args:
        model: A Keras model on TensorFlow.
        content: Names the inputs and outputs.
    """
    import tensorflow as tf

    signature = {
        one.name: tf.TensorSpec((None, *one.shape), one.dtype, name=one.name)
        for one in content.inputs
    }
    several = isinstance(model.input, Mapping)

    def serve(inputs: Any) -> Any:
        found = model(inputs if several else inputs[INPUT], training=False)
        return dict(found) if isinstance(found, Mapping) else {OUTPUT: found}

    # Without jit_compile: a layer that XLA can't compile runs as it is.
    return tf.function(serve, input_signature=[signature])
