"""The loss of each of the first steps, by itself."""

from collections.abc import Mapping
from typing import Any

import keras


class StepLosses(keras.callbacks.Callback):
    """Keeps the loss of each batch, and ends the training after so many.

    Batches must come one in a call: ``steps_per_execution`` is 1.

    Args:
        steps: How many losses to keep.
    """

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps
        self.losses: list[float] = []

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Forget the batches before."""
        # What is logged is the mean since here: of one batch. Differences of running means would
        # lose two digits in fifty steps.
        self.model.reset_metrics()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Keep the batch's loss."""
        self.losses.append(float((logs or {})["loss"]))
        if len(self.losses) == self.steps:
            self.model.stop_training = True
