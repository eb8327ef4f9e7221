"""A Keras model as a TensorFlow function of named tensors, with a free batch size."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dlrun.exports.content import INPUT, OUTPUT, Content


def serving_function(model: Any, content: Content) -> Any:
    """A ``tf.function`` from inputs by name to outputs by name.

    Args:
        model: A Keras model on TensorFlow, or on jax, whose functions TensorFlow can call.
        content: Names the inputs and outputs.
    """
    import keras
    import tensorflow as tf

    signature = {
        one.name: tf.TensorSpec((None, *one.shape), one.dtype, name=one.name)
        for one in content.inputs
    }
    several = isinstance(model.input, Mapping)
    call = _jax_call(model) if keras.backend.backend() == "jax" else _call(model)

    def serve(inputs: Any) -> Any:
        found = call(inputs if several else inputs[INPUT])
        return dict(found) if isinstance(found, Mapping) else {OUTPUT: found}

    # Without jit_compile: a layer that XLA can't compile runs as it is.
    return tf.function(serve, input_signature=[signature])


def _call(model: Any) -> Callable[[Any], Any]:
    return lambda inputs: model(inputs, training=False)


def _jax_call(model: Any) -> Callable[[Any], Any]:
    """The model's jax program, called by TensorFlow; its weights are constants in it."""
    import tensorflow as tf
    from jax.experimental import jax2tf

    def call(inputs: Any) -> Any:
        # Stateless: a random generator that the model advances would keep a traced value.
        weights = [variable.value for variable in model.trainable_variables]
        state = [variable.value for variable in model.non_trainable_variables]
        return model.stateless_call(weights, state, inputs, training=False)[0]

    program = jax2tf.convert(call, polymorphic_shapes=["(batch, ...)"], with_gradient=False)
    return tf.autograph.experimental.do_not_convert(program)  # type: ignore[no-any-return]
