"""What the processes of a run agree upon."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras


class Agreement(keras.callbacks.Callback):
    """Lets all processes end training where rank 0 does, as a search or a clock may decide.

    Args:
        agree: Takes a number, and returns that of rank 0.
    """

    async_safe = True  # it has no batch hooks

    def __init__(self, agree: Callable[[int], int]) -> None:
        super().__init__()
        self._agree = agree

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Take the decision of rank 0."""
        self.model.stop_training = bool(self._agree(int(self.model.stop_training)))
