"""The normalization between the layers of a convnet."""

import math
from typing import Any

import keras


def normalization(kind: str, channels: int, name: str) -> Any:
    """A layer that normalizes ``(batch_size, height, width, channels)``.

    Args:
        kind: ``group`` normalizes each image by itself, over groups of channels: the same in
            training and evaluation, from the first step on. ``batch`` evaluates with averages that
            follow over hundreds of steps, which a small data set does not have before early
            stopping.
        channels: How many there are.
        name: The layer's name.

    Raises:
        ValueError: If there is no such kind.
    """
    if kind == "group":
        # At most 8 groups, of at least 4 channels: a group of one channel would lose its mean, and
        # the average over the image is that mean.
        groups = max(math.gcd(32, channels) // 4, 1)
        return keras.layers.GroupNormalization(groups, name=name)
    if kind == "batch":
        return keras.layers.BatchNormalization(momentum=0.9, name=name)
    raise ValueError(f"normalization={kind}: expected group or batch")
