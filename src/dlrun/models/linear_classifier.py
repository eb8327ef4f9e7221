"""The books' linear classifier.

Source: Chollet, Kalinowski and Allaire, Deep Learning with R, chapter 3, "A linear classifier".
"""

import keras


def linear_classifier(input_shape: tuple[int, ...], num_classes: int) -> keras.Model:
    """A Sequential model with one linear layer, for least squares on the labels 0 and 1.

    Args:
        input_shape: ``(features,)``.
        num_classes: 2. The output is ``(batch_size, 1)`` float32; above 0.5 means class 1.

    Raises:
        ValueError: If there are not two classes.
    """
    if num_classes != 2:
        raise ValueError(f"the linear classifier is for two classes, got {num_classes}")
    kernel = keras.initializers.RandomUniform(0.0, 1.0)
    return keras.Sequential(
        [
            keras.Input(input_shape),
            keras.layers.Dense(1, kernel_initializer=kernel, dtype="float32", name="linear"),
        ],
        name="linear_classifier",
    )
