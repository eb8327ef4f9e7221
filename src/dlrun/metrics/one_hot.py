"""Any of Keras' metrics, for integer labels and logits."""

from typing import Any

import keras

from dlrun.losses.labels import class_of, compared


class OneHotMetric(keras.metrics.Metric):
    """Compares one-hot labels with the model's predictions by a metric of Keras'.

    Args:
        metric: A class of ``keras.metrics``, by its name.
        activation: Makes predictions of the outputs; None for a metric that takes logits.
        name: In the logs; by default the metric's own.
        **options: The metric's own.
    """

    def __init__(
        self, metric: str, activation: str | None = None, name: str | None = None, **options: Any
    ) -> None:
        made = class_of(keras.metrics, metric)(name=name, **options)
        super().__init__(name=made.name)
        self.metric = made
        self.activation = activation

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch: labels ``(batch_size,)``, outputs ``(batch_size, num_classes)``."""
        y_true, y_pred = compared(y_true, y_pred, self.activation)
        self.metric.update_state(y_true, y_pred, sample_weight=sample_weight)

    def result(self) -> Any:
        """The metric over the batches since the last reset."""
        return self.metric.result()

    def reset_state(self) -> None:
        """Forget all batches."""
        self.metric.reset_state()
