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
        loss_weights: What each of them counts in the loss.
    """

    def __init__(
        self, names: Sequence[str | None], loss_weights: Sequence[float] | None = None
    ) -> None:
        super().__init__(name="loss")
        self._names = list(names)
        self._loss_weights = list(loss_weights or [1.0] * len(self._names))
        # Whether a batch's loss consists of parts that count in other ways. Of a single output
        # without a mask all counts by samples, and recording it would cost a small model's step a
        # tenth.
        self._has_parts = False
        self._rest = _WeightedMean(self, "rest", ())
        self._parts = _WeightedMean(self, "parts", (len(self._names),))
        self._batch = self.add_weight(shape=(3, len(names)), initializer="zeros", name="batch")

    @property
    def names(self) -> list[str]:
        """The names of the logged values."""
        several = len(self._names) > 1
        return ["loss", *(f"{name}_loss" for name in self._names if several)]

    def record(self, losses: list[Any], totals: list[Any], weights: list[Any]) -> None:
        """Take the losses that the next :meth:`update_state` contains."""
        self._has_parts = True
        batch = keras.ops.stack([keras.ops.stack(row) for row in (losses, totals, weights)])
        self._batch.assign(keras.ops.stop_gradient(batch))

    def update_state(self, value: Any, sample_weight: Any = None) -> None:
        """Add a batch.

        Args:
            value: The loss of the batch, with everything that it holds.
            sample_weight: The number of samples.
        """
        samples = keras.ops.cast(1 if sample_weight is None else sample_weight, self.dtype)
        rest = keras.ops.cast(value, self.dtype)
        if self._has_parts:
            rest = rest - self._sum(self._batch[0])
            self._parts.add(self._batch[1], self._batch[2])
            # A step may compute its next loss in a way of its own, and record nothing.
            self._batch.assign(keras.ops.zeros(self._batch.shape))
        self._rest.add(rest * samples, samples)

    def result(self) -> Any:
        """The loss; with several outputs a mapping of it and the loss of each."""
        rest = self._rest.result()
        if not self._has_parts:
            return rest
        parts = self._parts.result()
        total = rest + self._sum(parts)
        if len(self._names) < 2:
            return total
        of_outputs = (parts[number] for number in range(len(self._names)))
        return dict(zip(self.names, (total, *of_outputs), strict=True))

    def _sum(self, losses: Any) -> Any:
        if all(weight == 1 for weight in self._loss_weights):
            return keras.ops.sum(losses)
        weights = keras.ops.convert_to_tensor(self._loss_weights, losses.dtype)
        return keras.ops.sum(losses * weights)


class _WeightedMean:
    """A running mean of sums, compensated, as float32 loses digits over many small batches."""

    def __init__(self, metric: keras.metrics.Metric, name: str, shape: tuple[int, ...]) -> None:
        self._total, self._lost, self._weight = (
            metric.add_weight(shape=shape, initializer="zeros", name=f"{name}_{part}")
            for part in ("total", "lost", "weight")
        )

    def add(self, values: Any, weights: Any) -> None:
        compensated = values - self._lost
        total = self._total + compensated
        lost = (total - self._total) - compensated
        self._lost.assign(lost)
        self._total.assign(total)
        self._weight.assign_add(weights)

    def result(self) -> Any:
        return keras.ops.divide_no_nan(self._total, self._weight)
