"""A residual network of basic blocks.

Source: He et al., Deep Residual Learning for Image Recognition, 2015, with the activations before
the convolutions as in Identity Mappings in Deep Residual Networks, 2016.
"""

from collections.abc import Sequence
from typing import Any

import keras

from dlrun.errors import DlrunError
from dlrun.models.heads import heads
from dlrun.models.normalization import normalization as normalize


def resnet(
    input_shape: tuple[int, ...],
    num_classes: Any,
    *,
    depths: Sequence[int] = (2, 2, 2),
    widths: Sequence[int] = (32, 64, 128),
    stem_stride: int = 1,
    normalization: str = "group",
    dropout: float = 0.0,
) -> keras.Model:
    """A Functional model: a convolution, stages of residual blocks, and an average.

    Args:
        input_shape: ``(height, width, channels)``, or ``(height, width)`` of grey images.
        num_classes: Values of the output, ``(batch_size, num_classes)`` float32; a mapping for
            several outputs.
        depths: The blocks of each stage; from the second stage on, the first block halves height
            and width.
        widths: The channels of each stage.
        stem_stride: The stride of the first convolution; 2 halves height and width of large images.
        normalization: As in :func:`dlrun.models.normalization.normalization`.
        dropout: The share of the features that are dropped in training.

    Raises:
        DlrunError: If ``depths`` and ``widths`` do not have the same number of stages.
    """
    if len(depths) != len(widths) or not depths:
        raise DlrunError(
            f"model.depths={list(depths)}, model.widths={list(widths)}: expected a number for each"
            " stage, in both",
            hint="model.depths=[2,2,2] model.widths=[32,64,128]",
        )
    inputs = keras.Input(input_shape)
    x = inputs if len(input_shape) == 3 else keras.layers.Reshape((*input_shape, 1))(inputs)
    x = _convolve(x, widths[0], stem_stride, "stem")
    for stage, (depth, width) in enumerate(zip(depths, widths, strict=True), 1):
        for block in range(1, depth + 1):
            stride = 2 if block == 1 and stage > 1 else 1
            x = _block(x, width, stride, normalization, f"stage_{stage}_block_{block}")
    x = _activate(x, normalization, "last")
    x = keras.layers.GlobalAveragePooling2D(name="average")(x)
    if dropout:
        x = keras.layers.Dropout(dropout, name="dropout")(x)
    return keras.Model(inputs, heads(x, num_classes), name="resnet")


def _block(x: Any, width: int, stride: int, normalization: str, name: str) -> Any:
    """Two convolutions, and a shortcut past both."""
    activated = _activate(x, normalization, f"{name}_1")
    keeps_shape = stride == 1 and x.shape[-1] == width
    shortcut = x if keeps_shape else _shortcut(activated, width, stride, name)
    y = _convolve(activated, width, stride, f"{name}_convolution_1")
    y = _activate(y, normalization, f"{name}_2")
    y = _convolve(y, width, 1, f"{name}_convolution_2")
    return keras.layers.Add(name=f"{name}_sum")([shortcut, y])


def _shortcut(x: Any, width: int, stride: int, name: str) -> Any:
    """The input of a block in the shape of its output.

    An average halves the image, as in He et al., Bag of Tricks for Image Classification, 2018: a
    1 x 1 convolution with a stride of 2 would see a quarter of the pixels.
    """
    if stride > 1:
        x = keras.layers.AveragePooling2D(stride, padding="same", name=f"{name}_average")(x)
    return _convolve(x, width, 1, f"{name}_shortcut", size=1)


def _activate(x: Any, normalization: str, name: str) -> Any:
    x = normalize(normalization, x.shape[-1], f"{name}_normalization")(x)
    return keras.layers.ReLU(name=f"{name}_activation")(x)


def _convolve(x: Any, width: int, stride: int, name: str, *, size: int = 3) -> Any:
    convolution = keras.layers.Conv2D(
        width,
        size,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
    )
    return convolution(x)
