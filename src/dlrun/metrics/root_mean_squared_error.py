"""A metric written from scratch.

Source: Chollet, Kalinowski and Allaire, Deep Learning with R, listing 7.18.
"""

from typing import Any

import keras

from dlrun.losses.labels import match_outputs
from dlrun.losses.masks import position_weights


class SparseRootMeanSquaredError(keras.metrics.Metric):
    """The root of the squared error, summed over classes and averaged over samples.

    It takes integer labels. Keras' ``RootMeanSquaredError`` also averages over classes.

    Args:
        activation: Turns outputs into predictions; None if the model returns predictions.
        name: The metric's name in the logs.
    """

    def __init__(
        self, activation: str | None = None, name: str = "root_mean_squared_error"
    ) -> None:
        super().__init__(name=name)
        self.activation = activation
        self.sum_squared_error = self.add_weight(name="sum_squared_error", initializer="zeros")
        self.samples = self.add_weight(name="samples", initializer="zeros")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch: labels ``(batch_size,)``, outputs ``(batch_size, num_classes)``."""
        weights = position_weights(y_pred, sample_weight)
        y_true, y_pred = match_outputs(y_true, y_pred, self.activation)
        errors = keras.ops.sum(keras.ops.square(y_true - y_pred), axis=-1)
        weights = keras.ops.cast(weights, errors.dtype)
        self.sum_squared_error.assign_add(keras.ops.sum(weights * errors))
        self.samples.assign_add(keras.ops.sum(weights))

    def result(self) -> Any:
        """The error over the batches since the last reset; 0 before the first."""
        return keras.ops.sqrt(keras.ops.divide_no_nan(self.sum_squared_error, self.samples))
