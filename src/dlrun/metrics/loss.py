"""A loss, to be logged beside others."""

from collections.abc import Callable
from typing import Any

import keras


class LossMetric(keras.metrics.Mean):
    """A loss over all samples since the last reset.

    Args:
        loss: Compares labels with outputs, a loss or a function of Keras'.
        name: In the logs.
    """

    def __init__(self, loss: Callable[..., Any], name: str = "loss") -> None:
        super().__init__(name=name)
        self.loss = loss

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch, which counts by its samples."""
        value = keras.ops.mean(self.loss(y_true, y_pred))
        super().update_state(value, sample_weight=keras.ops.shape(y_pred)[0])
