"""A small convnet for images of any size from 8 x 8 on."""

from typing import Any

import keras

from dlrun.errors import DlrunError
from dlrun.models.heads import heads
from dlrun.models.normalization import normalization as normalize


def small_convnet(
    input_shape: tuple[int, ...],
    num_classes: Any,
    *,
    filters: int = 32,
    blocks: int = 3,
    normalization: str = "group",
    dropout: float = 0.2,
) -> keras.Model:
    """A Functional model: blocks of convolution, normalization and pooling, then an average.

    Args:
        input_shape: ``(height, width, channels)``, or ``(height, width)`` of grey images; a side is
            at least ``2**blocks``.
        num_classes: Values of the output, ``(batch_size, num_classes)`` float32; a mapping for
            several outputs.
        filters: Channels of the first block; each further one has twice as many.
        blocks: Each halves height and width.
        normalization: As in :func:`dlrun.models.normalization.normalization`.
        dropout: The share of the features that are dropped in training.

    Raises:
        DlrunError: If the images are too small.
    """
    side = min(input_shape[:2])
    if side >> blocks == 0:
        raise DlrunError(
            f"model=small_convnet: {blocks} blocks halve images of {side} pixels to nothing",
            hint=f"model.blocks={side.bit_length() - 1}, or images of {2**blocks} pixels",
        )
    inputs = keras.Input(input_shape)
    x = inputs if len(input_shape) == 3 else keras.layers.Reshape((*input_shape, 1))(inputs)
    for number in range(1, blocks + 1):
        width = filters * 2 ** (number - 1)
        x = keras.layers.Conv2D(
            width, 3, padding="same", use_bias=normalization == "none", name=f"convolution_{number}"
        )(x)
        if normalization != "none":
            x = normalize(normalization, width, f"normalization_{number}")(x)
        x = keras.layers.ReLU(name=f"activation_{number}")(x)
        x = keras.layers.MaxPooling2D(2, name=f"pooling_{number}")(x)
    x = keras.layers.GlobalAveragePooling2D(name="average")(x)
    if dropout:
        x = keras.layers.Dropout(dropout, name="dropout")(x)
    return keras.Model(inputs, heads(x, num_classes), name="small_convnet")
