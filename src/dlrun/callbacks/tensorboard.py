"""Write TensorBoard events without TensorFlow.

Keras' TensorBoard callback imports TensorFlow on every backend; tensorboardX writes the same events
without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from dlrun.callbacks.event_files import EventFiles
from dlrun.callbacks.protocol import RunCallback


class TensorBoard(RunCallback):
    """Writes each epoch's metrics and learning rate under Keras' names.

    Args:
        log_dir: Training events go to ``log_dir/train``, validation to ``log_dir/validation``.
    """

    def __init__(self, log_dir: str) -> None:
        super().__init__()
        self.log_dir = log_dir
        self._files = EventFiles(log_dir)
        self._epochs = 0

    def get_state(self) -> dict[str, Any]:
        """How many epochs have been written, for a checkpoint."""
        return {"epochs": self._epochs}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Hide the points of epochs that a resumed run repeats."""
        self._epochs = int(state["epochs"])
        self._files.start_at(self._epochs)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Write one point of each curve at step ``epoch``, from 0."""
        rate = keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)
        self._files.add_epoch(epoch, {"learning_rate": rate, **(logs or {})})
        self._epochs = epoch + 1

    def close(self) -> None:
        """Close the event files; also called when training ends with an error."""
        self._files.close()
