"""The books' first network.

Source: Chollet, Kalinowski and Allaire, Deep Learning with R, listing 2.2.
"""

import keras


def mnist_mlp(input_shape: tuple[int, ...], num_classes: int, *, units: int = 512) -> keras.Model:
    """A Sequential model with one hidden layer.

    Args:
        input_shape: One sample's shape; it is flattened.
        num_classes: Logits in the output, ``(batch_size, num_classes)`` float32.
        units: Width of the hidden layer.
    """
    return keras.Sequential(
        [
            keras.Input(input_shape),
            keras.layers.Flatten(),
            keras.layers.Dense(units, activation="relu", name="hidden"),
            # Logits in float32, even if the other layers compute in half precision.
            keras.layers.Dense(num_classes, dtype="float32", name="logits"),
        ],
        name="mnist_mlp",
    )
