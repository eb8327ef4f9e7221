"""R2 and the correlation of Pearson, right in float32 for values far from zero."""

from typing import Any

import keras

from dlrun.losses.labels import flat_samples


class Moments(keras.metrics.Metric):
    """Means, variances and covariance of labels and predictions, batch by batch.

    Sums of squares, which Keras takes, lose every digit in which values far from zero differ.

    Source: Chan, Golub and LeVeque, Updating formulae and a pairwise algorithm for computing sample
    variances (1979).

    Args:
        average: Whether to average over the values of an output; if not, there is one for each.
        activation: Turns outputs into predictions; None if the model returns predictions.
        name: The metric's name in the logs.
    """

    def __init__(
        self, average: bool = True, activation: str | None = None, name: str | None = None
    ) -> None:
        super().__init__(name=name)
        self.average = average
        self.activation = activation
        self.weight: Any = None

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch: labels and outputs ``(batch_size, values)``."""
        labels, predictions, weights = flat_samples(y_true, y_pred, sample_weight, self.activation)
        if self.weight is None:
            self._build(labels.shape[-1])
        # Where Keras runs this without values, torch mixes no variable with a tensor that has none.
        old_weight, old_means, old_squares, old_origin = (
            keras.ops.convert_to_tensor(variable)
            for variable in (self.weight, self.means, self.squares, self.origin)
        )
        values, weights = keras.ops.stack([labels, predictions]), weights[:, None]
        added = keras.ops.sum(weights)

        def mean(values: Any) -> Any:
            return keras.ops.divide_no_nan(keras.ops.sum(weights * values, axis=1), added)

        # Differences from the first batch's mean are as exact as the values themselves.
        origin = keras.ops.where(old_weight > 0, old_origin, mean(values))
        values = values - origin[:, None]
        batch_means = mean(values)
        deviations = values - batch_means[:, None]
        products = _products(deviations)
        shift = batch_means - old_means
        total = old_weight + added
        share = keras.ops.divide_no_nan(added, total)
        squares = old_squares + keras.ops.sum(weights * products, axis=1)
        squares = squares + _products(shift) * old_weight * share
        means = old_means + shift * share
        self.residual.assign_add(keras.ops.sum(weights * (labels - predictions) ** 2, axis=0))
        self.squares.assign(squares)
        self.means.assign(means)
        self.origin.assign(origin)
        self.weight.assign(total)

    def result(self) -> Any:
        """The mean over the values of an output, or each of them."""
        values = self.values()
        return keras.ops.mean(values) if self.average else values

    def values(self) -> Any:
        """The metric of each value of an output."""
        raise NotImplementedError

    def _build(self, size: int) -> None:
        def zeros(name: str, *shape: int) -> Any:
            return self.add_weight(shape=shape, initializer="zeros", name=name)

        self.origin, self.means = zeros("origin", 2, size), zeros("means", 2, size)
        # Sums of squares of labels and of predictions, and of their products, about the means.
        self.squares = zeros("squares", 3, size)
        self.residual = zeros("residual", size)
        self.weight = zeros("weight")


def _products(pair: Any) -> Any:
    """The squares of two arrays, and their product."""
    return keras.ops.stack([pair[0] ** 2, pair[1] ** 2, pair[0] * pair[1]])


class R2(Moments):
    """The share of the labels' variance that the predictions explain; 0 for constant labels."""

    def values(self) -> Any:
        """See :class:`Moments`."""
        variance = self.squares[0]
        explained = 1 - keras.ops.divide_no_nan(self.residual, variance)
        exact = keras.ops.cast(self.residual == 0, explained.dtype)
        return keras.ops.where(variance > 0, explained, exact)


class Pearson(Moments):
    """The correlation of labels and predictions; 0 if one of them is constant."""

    def values(self) -> Any:
        """See :class:`Moments`."""
        scale = keras.ops.sqrt(self.squares[0]) * keras.ops.sqrt(self.squares[1])
        return keras.ops.divide_no_nan(self.squares[2], scale)
