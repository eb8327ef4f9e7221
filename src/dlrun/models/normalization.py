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
        # Of at least four channels: a channel alone would lose its mean, and so its average.
        groups = math.gcd(8, max(channels // 4, 1)) if channels % 4 == 0 else 1
        return keras.layers.GroupNormalization(groups, name=name)
    if kind == "batch":
        return keras.layers.BatchNormalization(momentum=0.9, name=name)
    raise ValueError(f"normalization={kind}: expected group or batch")
