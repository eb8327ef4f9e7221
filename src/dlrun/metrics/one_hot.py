"""Use any Keras metric with integer labels and logits."""

from typing import Any

import keras

from dlrun.losses.labels import get_class, match_outputs
from dlrun.losses.masks import position_weights


class OneHotMetric(keras.metrics.Metric):
    """Compares one-hot labels with the model's predictions, using a Keras metric.

    Args:
        metric: The name of a class of ``keras.metrics``.
        activation: Turns outputs into predictions; None for a metric that takes logits.
        name: The metric's name in the logs; by default Keras' name.
        **options: Arguments of the metric.
    """

    def __init__(
        self, metric: str, activation: str | None = None, name: str | None = None, **options: Any
    ) -> None:
        cls = get_class(keras.metrics, metric)
        if issubclass(cls, keras.metrics.IoU):
            # Its default counts samples in integers, in which a weight of 0.5 is 0.
            options = {"dtype": "float32", **options}
        instance = cls(name=name, **options)
        super().__init__(name=instance.name)
        self.metric = instance
        self.activation = activation

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch: labels ``(batch_size,)``, outputs ``(batch_size, num_classes)``.

        Weights of the shape of the outputs are of each label: for a metric that is a mean of them.
        """
        is_each = sample_weight is not None and len(sample_weight.shape) == len(y_pred.shape)
        weights = sample_weight if is_each else position_weights(y_pred, sample_weight)
        y_true, y_pred = match_outputs(y_true, y_pred, self.activation)
        if is_each:
            y_true, y_pred = keras.ops.expand_dims(y_true, -1), keras.ops.expand_dims(y_pred, -1)
        self.metric.update_state(y_true, y_pred, sample_weight=weights)

    def result(self) -> Any:
        """The metric over the batches since the last reset."""
        return self.metric.result()

    def reset_state(self) -> None:
        """Reset the metric."""
        self.metric.reset_state()
