"""Log the learning rate of a schedule."""

from typing import Any

import keras

from dlrun.losses.loss_scale import inner_optimizer


class LogLearningRate(keras.callbacks.Callback):
    """Adds ``learning_rate``, that of the last update, to the logs of each epoch.

    Keras' callbacks that set a learning rate do the same. It comes before those that read the logs.
    """

    async_safe = True

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Add it."""
        optimizer = inner_optimizer(self.model.optimizer)
        if logs is not None and optimizer.has_schedule():
            logs["learning_rate"] = optimizer.last_learning_rate()
