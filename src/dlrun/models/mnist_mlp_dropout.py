"""The books' MNIST model for the standard workflow.

Source: Chollet, Kalinowski and Allaire, Deep Learning with R, listing 7.17.
"""

import keras


def mnist_mlp_dropout(
    input_shape: tuple[int, ...], num_classes: int, *, units: int = 512, rate: float = 0.5
) -> keras.Model:
    """A Functional model with one hidden layer and dropout.

    Args:
        input_shape: One sample's shape; it is flattened.
        num_classes: Logits in the output, ``(batch_size, num_classes)`` float32.
        units: Width of the hidden layer.
        rate: Share of the hidden units that dropout sets to 0 in training.
    """
    inputs = keras.Input(input_shape)
    x = keras.layers.Flatten()(inputs)
    x = keras.layers.Dense(units, activation="relu", name="hidden")(x)
    x = keras.layers.Dropout(rate)(x)
    outputs = keras.layers.Dense(num_classes, dtype="float32", name="logits")(x)
    return keras.Model(inputs, outputs, name="mnist_mlp_dropout")
