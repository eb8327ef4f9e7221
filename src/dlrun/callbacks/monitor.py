"""Keep Keras' callbacks from taking a value that is not finite for the best."""

import math
from typing import Any

import keras


def watch_finite(callback: keras.callbacks.Callback) -> keras.callbacks.Callback:
    """Let a callback that monitors a value, such as EarlyStopping, improve on finite ones only.

    To Keras, the first value is the best, so nothing improves on a NaN in the first epoch.

    Args:
        callback: Changed in place; one that monitors nothing is left as it is.
    """
    improves = getattr(callback, "_is_improvement", None)
    if improves is not None:

        def is_improvement(value: Any, reference: Any) -> bool:
            if not math.isfinite(value):
                return False
            first = reference is None or not math.isfinite(reference)
            return first or bool(improves(value, reference))

        callback._is_improvement = is_improvement
    return callback
