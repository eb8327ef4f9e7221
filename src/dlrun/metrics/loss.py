"""Log the loss, of each output and in all."""

from collections.abc import Sequence
from typing import Any

import keras


class LossTracker(keras.metrics.Metric):
    """The loss since the last reset, the same for any batch size.

    Each output's loss is its sum over all samples, or over all unmasked steps of sequences, divided
    by their number. What a batch's loss holds beside them, such as penalties on weights, is
    averaged over samples.

    It takes the place of Keras' own tracker, which weights the mean of a batch by its samples:
    :class:`dlrun.losses.sum_of_losses.SumOfLosses` records what a batch's loss consists of, and
    then Keras or a step calls :meth:`update_state` with all of it.

    Args:
        names: The outputs with a loss; with more than one, each is logged as ``NAME_loss``.
    """

    def __init__(self, names: Sequence[str | None]) -> None:
        super().__init__(name="loss")
        self._names = list(names)
        outputs = len(self._names)
        # A column for each output: its loss in this batch, the sum that it stands for, the weight.
        self._batch = self.add_weight(shape=(3, outputs), initializer="zeros", name="batch")
        # One more column for the rest. Compensated, as a float32 loses digits over many batches.
        self._sums = self.add_weight(shape=(2, outputs + 1), initializer="zeros", name="sums")
        self._lost = self.add_weight(shape=(2, outputs + 1), initializer="zeros", name="lost")

    @property
    def names(self) -> list[str]:
        """The names of the logged values."""
        several = len(self._names) > 1
        return ["loss", *(f"{name}_loss" for name in self._names if several)]

    def record(self, losses: list[Any], totals: list[Any], weights: list[Any]) -> None:
        """Take the losses that the next :meth:`update_state` contains."""
        batch = keras.ops.stack([keras.ops.stack(row) for row in (losses, totals, weights)])
        self._batch.assign(keras.ops.stop_gradient(batch))

    def update_state(self, value: Any, sample_weight: Any = None) -> None:
        """Add a batch.

        Args:
            value: The loss of the batch, with everything that it holds.
            sample_weight: The number of samples.
        """
        samples = keras.ops.cast(1 if sample_weight is None else sample_weight, self.dtype)
        rest = keras.ops.cast(value, self.dtype) - keras.ops.sum(self._batch[0])
        of_rest = keras.ops.stack([rest * samples, samples])
        added = keras.ops.concatenate([self._batch[1:], of_rest[:, None]], axis=1)
        compensated = added - self._lost
        sums = self._sums + compensated
        lost = (sums - self._sums) - compensated
        self._lost.assign(lost)
        self._sums.assign(sums)
        self._batch.assign(keras.ops.zeros(self._batch.shape))

    def result(self) -> Any:
        """The loss; with several outputs a mapping of it and the loss of each."""
        means = keras.ops.divide_no_nan(self._sums[0], self._sums[1])
        total = keras.ops.sum(means)
        if len(self._names) < 2:
            return total
        of_outputs = (means[number] for number in range(len(self._names)))
        return dict(zip(self.names, (total, *of_outputs), strict=True))
