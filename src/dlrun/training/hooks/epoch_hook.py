"""Call a function after each epoch, which may end the run."""

from collections.abc import Callable, Mapping
from typing import Any

from dlrun.callbacks.protocol import RunCallback


class EpochHook(RunCallback):
    """Calls a function after each epoch; if it returns True, training ends.

    Args:
        function: Takes a dict of ``epoch``, from 1; ``epochs``, how many there are; and ``logs``,
            numbers by name.
    """

    def __init__(self, function: Callable[[dict[str, Any]], bool]) -> None:
        super().__init__()
        self._function = function
        self._stopped_epoch = 0

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Call the function."""
        values = {name: float(value) for name, value in (logs or {}).items()}
        epochs = (self.params or {}).get("epochs")
        if self._function({"epoch": epoch + 1, "epochs": epochs, "logs": values}):
            self._stopped_epoch = epoch + 1
            self.model.stop_training = True

    def get_stopped_epoch(self) -> int:
        """The epoch after which the function ended training; 0 if it has not."""
        return self._stopped_epoch
