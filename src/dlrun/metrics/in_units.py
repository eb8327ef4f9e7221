"""Metrics of standardized labels in the units of the target."""

from typing import Any

import keras


def in_units(
    metric: keras.metrics.Metric, mean: tuple[float, ...], deviation: tuple[float, ...]
) -> None:
    """Let a metric see labels and outputs as they were before they were standardized.

    Args:
        metric: Changed in place.
        mean: Of each value of the output.
        deviation: Of each value of the output.
    """
    update = metric.update_state

    def update_state(y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        scale, offset = (keras.ops.convert_to_tensor(v, "float32") for v in (deviation, mean))
        labels, outputs = (keras.ops.cast(y, "float32") * scale + offset for y in (y_true, y_pred))
        return update(labels, outputs, sample_weight)

    metric.update_state = update_state
