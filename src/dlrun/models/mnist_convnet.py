"""The convnet of Keras' guide for engineers.

Source: Introduction to Keras for engineers, "A first example: a MNIST convnet".
"""

import keras


def mnist_convnet(
    input_shape: tuple[int, ...], num_classes: int, *, rate: float = 0.5
) -> keras.Model:
    """A Sequential model: two pairs of convolutions, global pooling, dropout.

    Args:
        input_shape: ``(height, width)`` or ``(height, width, channels)``.
        num_classes: Logits in the output, ``(batch_size, num_classes)`` float32.
        rate: Share of the features that dropout sets to 0 in training.
    """
    channels = input_shape[2:] or (1,)
    return keras.Sequential(
        [
            keras.Input(input_shape),
            keras.layers.Reshape((*input_shape[:2], *channels)),
            keras.layers.Conv2D(64, 3, activation="relu"),
            keras.layers.Conv2D(64, 3, activation="relu"),
            keras.layers.MaxPooling2D(2),
            keras.layers.Conv2D(128, 3, activation="relu"),
            keras.layers.Conv2D(128, 3, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dropout(rate),
            keras.layers.Dense(num_classes, dtype="float32", name="logits"),
        ],
        name="mnist_convnet",
    )
