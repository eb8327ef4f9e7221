"""A linear model's weights and learning rate, as a native loop takes and gives them."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from dlrun.errors import DlrunError


def check(model: keras.Model, backend: str) -> None:
    """Check that a native loop can train this model.

    Raises:
        DlrunError: If another backend is in use, or the model is not one linear layer trained by
            plain gradient descent.
    """
    if keras.backend.backend() != backend:
        raise DlrunError(f"this loop is written in {backend}", hint=f"choose backend={backend}")
    shapes = [len(weight.shape) for weight in model.weights]
    if shapes != [2, 1] or model.weights[0].shape[1] != 1:
        raise DlrunError(
            f"this loop trains one linear layer, and {model.name} is another model",
            hint="choose model=linear_classifier",
        )
    if type(model.optimizer).__name__ != "SGD":
        raise DlrunError("this loop is plain gradient descent", hint="choose optimizer=sgd")


def take(model: keras.Model) -> tuple[np.ndarray, np.ndarray, float]:
    """Kernel, bias and learning rate."""
    kernel, bias = (keras.ops.convert_to_numpy(weight) for weight in model.weights)
    return kernel, bias, float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))


def give(model: keras.Model, kernel: Any, bias: Any) -> None:
    """Put the trained values into the model."""
    for weight, value in zip(model.weights, (kernel, bias), strict=True):
        weight.assign(np.asarray(value))


def logged(model: keras.Model, losses: Any, targets: np.ndarray) -> dict[str, Any]:
    """Track the losses of some batches of one size; what is logged after them.

    Args:
        model: For its tracker, which the loop resets.
        losses: One for each batch.
        targets: Shape ``(steps, batch_size, ...)``.
    """
    tracker = next(metric for metric in model.metrics if metric.name == "loss")
    for loss in losses:
        tracker.update_state(loss, sample_weight=targets.shape[1])
    return {"loss": tracker.result()}


def batches(inputs: np.ndarray, labels: np.ndarray) -> Sequence[tuple[np.ndarray, np.ndarray]]:
    """Batches along the first axis, the labels as floats in a column, ``(batch_size, 1)``."""
    columns = labels.astype(np.float32).reshape(*inputs.shape[:2], 1)
    return list(zip(inputs, columns, strict=True))
