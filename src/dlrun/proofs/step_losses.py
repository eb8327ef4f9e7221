"""The individual loss of each of the first steps."""

from collections.abc import Mapping
from typing import Any

import keras


class StepLosses(keras.callbacks.Callback):
    """Keeps the loss of each batch, and ends training after a number of steps.

    ``steps_per_execution`` must be 1.

    Args:
        steps: The number of losses to keep.
    """

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps
        self.losses: list[float] = []

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Reset the metrics, so that the batch's own loss is logged."""
        # Differences of running means would lose two digits in fifty steps.
        self.model.reset_metrics()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Keep the batch's loss."""
        self.losses.append(float((logs or {})["loss"]))
        if len(self.losses) == self.steps:
            self.model.stop_training = True
