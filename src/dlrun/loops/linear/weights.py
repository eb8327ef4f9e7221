"""Exchange a linear model's weights and learning rate with a native loop."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from dlrun.errors import DlrunError


def check(model: keras.Model) -> None:
    """Check that a native loop can train this model.

    Raises:
        DlrunError: If the model is not one linear layer with plain gradient descent.
    """
    shapes = [len(weight.shape) for weight in model.weights]
    if shapes != [2, 1] or model.weights[0].shape[1] != 1:
        raise DlrunError(
            f"this loop trains only one linear layer, but the model is {model.name}",
            hint="choose model=linear_classifier",
        )
    if type(model.optimizer).__name__ != "SGD":
        name = type(model.optimizer).__name__
        raise DlrunError(
            f"this loop is plain gradient descent, but the optimizer is {name}",
            hint="choose optimizer=sgd",
        )
    schedule = keras.optimizers.schedules.LearningRateSchedule
    if isinstance(model.optimizer._learning_rate, schedule):
        raise DlrunError(
            "this loop keeps one learning rate, but the optimizer follows a schedule",
            hint="choose schedule=constant",
        )


def read_weights(model: keras.Model) -> tuple[np.ndarray, np.ndarray, float]:
    """Kernel, bias and learning rate."""
    kernel, bias = (keras.ops.convert_to_numpy(weight) for weight in model.weights)
    return kernel, bias, float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))


def write_weights(model: keras.Model, kernel: Any, bias: Any) -> None:
    """Assign the trained values to the model."""
    for weight, value in zip(model.weights, (kernel, bias), strict=True):
        weight.assign(np.asarray(value))


def log_losses(model: keras.Model, losses: Any, targets: np.ndarray) -> dict[str, Any]:
    """Track the losses of batches of the same size; returns the logs.

    Args:
        model: Provides the tracker, which the loop resets.
        losses: One loss per batch.
        targets: Shape ``(steps, batch_size, ...)``.
    """
    tracker = next(metric for metric in model.metrics if metric.name == "loss")
    for loss in losses:
        tracker.update_state(loss, sample_weight=targets.shape[1])
    return {"loss": tracker.result()}


def batches(
    inputs: np.ndarray, labels: np.ndarray, *weights: np.ndarray
) -> Sequence[tuple[np.ndarray, ...]]:
    """Batches along the first axis; labels and weights as floats in a column, ``(batch_size, 1)``.

    Args:
        inputs: Shape ``(steps, batch_size, features)``.
        labels: Shape ``(steps, batch_size)``.
        *weights: None, or an array like the labels.
    """
    columns = (
        array.astype(np.float32).reshape(*inputs.shape[:2], 1) for array in (labels, *weights)
    )
    return list(zip(inputs, *columns, strict=True))
