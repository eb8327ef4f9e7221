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

    The weights of samples do not change what a loss is divided by: Keras' reduction is the sum of
    the weighted losses over the number of samples. Only ``mean_with_sample_weight`` divides by the
    sum of the weights.

    Args:
        losses: Keras losses or loss functions by output name; other outputs are ignored. The name
            None is for the model's single output.
        recorder: Takes the losses of each batch.
        weights: What each output's loss counts in the sum; 1 for those without. A loss is recorded
            as it is.
    """

    def __init__(
        self,
        losses: Mapping[str | None, Callable[..., Any]],
        recorder: LossRecorder,
        weights: Mapping[str | None, float] | None = None,
    ) -> None:
        super().__init__(name="sum_of_losses")
        self._weights = [(weights or {}).get(name, 1.0) for name in losses]
        self.losses = {name: with_reduction(loss) for name, loss in losses.items()}
        self._recorder = recorder

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The sum, a scalar."""
        parts = [
            (loss, _of(y_true, name), _of(y_pred, name), _of(sample_weight, name))
            for name, loss in self.losses.items()
        ]
        values = [
            _scalar(keras.ops.cast(loss(labels, outputs, weight), self.dtype))
            for loss, labels, outputs, weight in parts
        ]
        if len(parts) > 1 or any(
            loss.reduction == "sum" or _is_weighted_mean(loss, weight) or masks_of(outputs)
            for loss, _, outputs, weight in parts
        ):
            weights = [
                _weight(outputs, weight if _is_weighted_mean(loss, weight) else None)
                for loss, _, outputs, weight in parts
            ]
            totals = [
                value if loss.reduction == "sum" else value * weight
                for (loss, *_), value, weight in zip(parts, values, weights, strict=True)
            ]
            self._recorder.record(values, totals, weights)
        counted = [
            value if weight == 1 else weight * value
            for value, weight in zip(values, self._weights, strict=True)
        ]
        return functools.reduce(operator.add, counted)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Not used: Keras would drop the masks of outputs that it casts."""
        raise NotImplementedError


def with_reduction(loss: Callable[..., Any]) -> keras.losses.Loss:
    """A Keras loss, or a loss function with the weights, the masks and the mean of one."""
    return loss if isinstance(loss, keras.losses.Loss) else _FunctionLoss(loss)


def _of(arrays: Any, name: str | None) -> Any:
    """The array of one output; the name of a single output is None."""
    return arrays[name] if isinstance(arrays, Mapping) and name is not None else arrays


def _is_weighted_mean(loss: keras.losses.Loss, sample_weight: Any) -> bool:
    return sample_weight is not None and loss.reduction == "mean_with_sample_weight"


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


def _weight(outputs: Any, sample_weight: Any) -> Any:
    """The number of unmasked steps, or of samples if nothing is masked; or the sum of weights."""
    if masks_of(outputs) or sample_weight is not None:
        return keras.ops.sum(position_weights(outputs, sample_weight))
    return keras.ops.cast(keras.ops.shape(outputs)[0], "float32")
