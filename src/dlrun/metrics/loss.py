"""Log a loss as a metric."""

from collections.abc import Callable
from typing import Any

import keras


class LossMetric(keras.metrics.Mean):
    """The mean of a loss over all samples since the last reset.

    Args:
        loss: A Keras loss or loss function.
        name: The metric's name in the logs.
    """

    def __init__(self, loss: Callable[..., Any], name: str = "loss") -> None:
        super().__init__(name=name)
        self.loss = loss

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch, weighted by its number of samples."""
        value = keras.ops.mean(self.loss(y_true, y_pred))
        super().update_state(value, sample_weight=keras.ops.shape(y_pred)[0])
