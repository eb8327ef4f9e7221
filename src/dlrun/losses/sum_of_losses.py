"""One loss for a model of several outputs."""

from collections.abc import Callable, Mapping
from typing import Any

import keras


class SumOfLosses(keras.losses.Loss):
    """The sum of a loss for each output.

    Given a mapping of losses, Keras adds them up too, and logs each as the mean over the batches:
    by samples on jax and torch, but on tensorflow the last batch, which is smaller, counts as much
    as the others. Here Keras sees one loss, and metrics log those of the outputs.

    Args:
        losses: By the outputs' names, losses or functions of Keras'; an output without one is not
            compared.
    """

    def __init__(self, losses: Mapping[str, Callable[..., Any]]) -> None:
        super().__init__(name="sum_of_losses")
        self.losses = dict(losses)

    def call(self, y_true: Mapping[str, Any], y_pred: Mapping[str, Any]) -> Any:
        """The sum, a scalar."""
        values = [loss(y_true[name], y_pred[name]) for name, loss in self.losses.items()]
        # A loss has reduced its values by its own rule, a function returns ``(batch_size,)``.
        return sum(keras.ops.cast(keras.ops.mean(value), self.dtype) for value in values)
