"""A small convnet of depthwise and separable convolutions.

Source: Howard et al., MobileNets, 2017, the block of depthwise convolution and normalization.
"""

import keras


def mnist_separable(
    input_shape: tuple[int, ...], num_classes: int, *, filters: int = 16
) -> keras.Model:
    """A Sequential model: a separable and a depthwise convolution, each normalized, logits.

    Args:
        input_shape: ``(height, width)`` or ``(height, width, channels)``.
        num_classes: Logits in the output, ``(batch_size, num_classes)`` float32.
        filters: Channels of the convolutions.
    """
    channels = input_shape[2:] or (1,)
    return keras.Sequential(
        [
            keras.Input(input_shape),
            keras.layers.Reshape((*input_shape[:2], *channels)),
            keras.layers.SeparableConv2D(filters, 3, strides=2, use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.DepthwiseConv2D(3, strides=2, use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.Flatten(),
            keras.layers.Dense(num_classes, dtype="float32", name="logits"),
        ],
        name="mnist_separable",
    )
