"""Keep what must not be rounded in float32, whatever the precision that a model computes in.

Import it after the backend has started.
"""

import keras

from dlrun.assembly.require import HALF

DataLayer = keras.layers.Rescaling.__base__  # of Keras' preprocessing layers; it is not exported
# The layers whose inputs lose their meaning if they are rounded: bfloat16 has 4 values for the
# years 2000 to 2024, and no 257.
EXACT = (DataLayer, keras.layers.Embedding)


def keep_inputs_exact(model: keras.Model) -> None:
    """Let preprocessing layers compute in float32, and get their inputs unrounded.

    Keras casts the inputs of each layer to the dtype that it computes in, and those of a subclassed
    model or layer before its own parts see them.

    Args:
        model: Built or not.
    """
    policy = keras.config.dtype_policy()
    if policy.compute_dtype not in HALF:
        return
    for layer in model._flatten_layers():
        if isinstance(layer, DataLayer):
            if layer.dtype_policy.name == policy.name:  # else the user has chosen another
                layer.dtype_policy = "float32"
                if isinstance(layer, keras.layers.Normalization) and layer.built:
                    _cast_statistics(layer)
        elif any(isinstance(part, EXACT) for part in layer._flatten_layers(include_self=False)):
            layer.autocast = False


def _cast_statistics(layer: keras.layers.Normalization) -> None:
    """Let a built layer cast its mean and variance again, to the dtype that it has now."""
    if layer.input_mean is None:  # it was adapted to data
        layer.finalize_state()
    else:
        layer.build_from_config(layer.get_build_config())
