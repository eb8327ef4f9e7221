"""Tell somebody of each epoch, who may end the run."""

from collections.abc import Callable, Mapping
from typing import Any

import keras


class EpochHook(keras.callbacks.Callback):
    """Calls a function after each epoch; where it returns True, training ends.

    Args:
        function: Takes ``epoch``, from 1, and all that is logged.
    """

    def __init__(self, function: Callable[[dict[str, Any]], bool]) -> None:
        super().__init__()
        self._function = function
        self.stopped_epoch = 0

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Call."""
        told = {name: float(value) for name, value in (logs or {}).items()}
        if self._function({"epoch": epoch + 1, "logs": told}):
            self.stopped_epoch = epoch + 1
            self.model.stop_training = True
