"""Losses and metrics of several labels at once, with a value for each label of a sample.

A binary cross-entropy of ``(batch_size, labels)`` is a mean over a sample's labels, so that only
the whole sample can be weighted. With one more axis, each label is a sample of its own.
"""

from collections.abc import Callable
from typing import Any

import keras

from dlrun.losses.sum_of_losses import with_reduction


class EachLabel(keras.losses.Loss):
    """A loss whose values are ``(batch_size, labels)``; the mean of all is that of the loss.

    Args:
        loss: Elementwise: a mean over its last axis.
    """

    def __init__(self, loss: Callable[..., Any]) -> None:
        self._loss = with_reduction(loss)
        super().__init__(name=self._loss.name, reduction=self._loss.reduction)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The values, ``(batch_size, labels)``."""
        values = self._loss.call(_as_samples(y_true), _as_samples(y_pred))
        return values / values.shape[-1] if self.reduction == "sum" else values


def weigh_each_label(metric: keras.metrics.Metric) -> None:
    """Let a weighted mean take weights of shape ``(batch_size, labels)``.

    Args:
        metric: The mean of an elementwise function; changed in place.
    """
    update = metric.update_state

    def update_state(y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return update(_as_samples(y_true), _as_samples(y_pred), sample_weight)

    metric.update_state = update_state


def _as_samples(labels: Any) -> Any:
    return keras.ops.expand_dims(keras.ops.convert_to_tensor(labels), -1)
