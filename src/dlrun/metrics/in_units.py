"""Metrics of standardized labels in the units of the target."""

from typing import Any

import keras

from dlrun.metrics.moments import Moments

# Of differences alone: the same without the mean, beside which float32 may not hold a difference.
OF_DIFFERENCES = (
    keras.metrics.MeanAbsoluteError,
    keras.metrics.MeanSquaredError,
    keras.metrics.RootMeanSquaredError,
    keras.metrics.LogCoshError,
    keras.metrics.R2Score,
    Moments,
)


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
    added = (0.0,) * len(mean) if isinstance(metric, OF_DIFFERENCES) else mean

    def update_state(y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        scale, offset = (keras.ops.convert_to_tensor(v, "float32") for v in (deviation, added))
        labels, outputs = (keras.ops.cast(y, "float32") * scale + offset for y in (y_true, y_pred))
        return update(labels, outputs, sample_weight)

    metric.update_state = update_state
