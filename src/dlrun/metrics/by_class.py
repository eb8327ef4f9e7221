"""Log a metric that gives a value for each class."""

from typing import Any

import keras


class ByClass(keras.metrics.Metric):
    """Logs each value of a metric as ``NAME_0``, ``NAME_1``, ...; a single value as ``NAME``.

    Args:
        metric: Any metric.
        output: The output that it is of, if there are several: put before the names, as Keras
            itself does for a single value.
    """

    def __init__(self, metric: keras.metrics.Metric, output: str | None = None) -> None:
        super().__init__(name=metric.name)
        self.metric = metric
        self.output = output

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch."""
        self.metric.update_state(y_true, y_pred, sample_weight=sample_weight)

    def result(self) -> Any:
        """A scalar, or scalars by name."""
        values = self.metric.result()
        shape = tuple(getattr(values, "shape", ()))
        if shape == (1,):
            return values[0]
        if len(shape) != 1:
            return values
        prefix = f"{self.output}_" if self.output else ""
        return {f"{prefix}{self.name}_{index}": values[index] for index in range(shape[0])}

    def reset_state(self) -> None:
        """Reset the metric."""
        self.metric.reset_state()
