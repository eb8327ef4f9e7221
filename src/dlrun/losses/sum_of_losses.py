"""One loss for a model with several outputs."""

from collections.abc import Callable, Mapping
from typing import Any

import keras


class SumOfLosses(keras.losses.Loss):
    """The sum of the losses of all outputs.

    Keras can sum a mapping of losses itself, and logs each loss as its mean over the batches. On
    jax and torch that mean is weighted by samples, but on tensorflow a smaller last batch counts as
    much as the others. Here Keras sees one loss, and metrics log the losses of the outputs.

    Args:
        losses: Keras losses or loss functions by output name; other outputs are ignored.
    """

    def __init__(self, losses: Mapping[str, Callable[..., Any]]) -> None:
        super().__init__(name="sum_of_losses")
        self.losses = dict(losses)

    def call(self, y_true: Mapping[str, Any], y_pred: Mapping[str, Any]) -> Any:
        """The sum, a scalar."""
        values = [loss(y_true[name], y_pred[name]) for name, loss in self.losses.items()]
        # A loss has already reduced its values; a function returns ``(batch_size,)``.
        return sum(keras.ops.cast(keras.ops.mean(value), self.dtype) for value in values)
