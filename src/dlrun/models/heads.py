"""The last layers of a model: one output, or several by name."""

from collections.abc import Mapping
from typing import Any

import keras


def heads(features: Any, num_classes: int | Mapping[str, int]) -> Any:
    """A Dense layer for each output, in float32 even if the others compute in half precision.

    Args:
        features: ``(batch_size, units)``.
        num_classes: The width of the output; a mapping of several.

    Returns:
        ``(batch_size, num_classes)`` float32, or a mapping of such.
    """
    if isinstance(num_classes, Mapping):
        return {
            name: keras.layers.Dense(width, dtype="float32", name=f"logits_{number}")(features)
            for number, (name, width) in enumerate(num_classes.items(), 1)
        }
    return keras.layers.Dense(num_classes, dtype="float32", name="logits")(features)
