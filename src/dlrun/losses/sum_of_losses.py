"""The loss that training minimizes: of a single output, or the sum over several."""

import functools
import operator
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import keras

from dlrun.losses.masks import masks_of, position_weights


class LossRecorder(Protocol):
    """Takes the losses of a batch, to average them over an epoch."""

    def record(self, losses: list[Any], totals: list[Any], weights: list[Any]) -> None:
        """Take the batch's loss of each output, its sum over what counts, and how much counts."""


class SumOfLosses(keras.losses.Loss):
    """The sum of the losses of all outputs.

    Keras can sum a mapping of losses itself, but on tensorflow logs each as a mean to which a
    smaller last batch counts as much as the others; and it weights the loss of a batch by its
    samples, though the batch's own mean is over unmasked steps. Here each output's loss is
    recorded with the number of samples or unmasked steps that it is a mean of, unless that is the
    number of samples alone.

    Args:
        losses: Keras losses or loss functions by output name; other outputs are ignored. The name
            None is for the model's single output.
        recorder: Takes the losses of each batch.
    """

    def __init__(
        self, losses: Mapping[str | None, Callable[..., Any]], recorder: LossRecorder
    ) -> None:
        super().__init__(name="sum_of_losses")
        self.losses = {
            name: loss if isinstance(loss, keras.losses.Loss) else _FunctionLoss(loss)
            for name, loss in losses.items()
        }
        self._recorder = recorder

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The sum, a scalar."""
        parts = [
            (loss, *((y_true, y_pred) if name is None else (y_true[name], y_pred[name])))
            for name, loss in self.losses.items()
        ]
        values = [
            _scalar(keras.ops.cast(loss(labels, outputs, sample_weight), self.dtype))
            for loss, labels, outputs in parts
        ]
        if len(parts) > 1 or any(
            loss.reduction == "sum" or masks_of(out) for loss, _, out in parts
        ):
            weights = [_weight(outputs) for _, _, outputs in parts]
            totals = [
                value if loss.reduction == "sum" else value * weight
                for (loss, _, _), value, weight in zip(parts, values, weights, strict=True)
            ]
            self._recorder.record(values, totals, weights)
        return functools.reduce(operator.add, values)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Not used: Keras would drop the masks of outputs that it casts."""
        raise NotImplementedError


def _scalar(value: Any) -> Any:
    # A loss without a reduction returns ``(batch_size,)``.
    return keras.ops.mean(value) if len(value.shape) else value


class _FunctionLoss(keras.losses.Loss):
    """A loss function, with the masks and the mean of a Keras loss."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(name=getattr(function, "__name__", None))
        self._function = function

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return self._function(y_true, y_pred)


def _weight(outputs: Any) -> Any:
    """The number of unmasked steps, or of samples if nothing is masked."""
    if masks_of(outputs):
        return keras.ops.sum(position_weights(outputs))
    return keras.ops.cast(keras.ops.shape(outputs)[0], "float32")
