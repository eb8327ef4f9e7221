"""What the processes of a run agree upon."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras


class Agreement(keras.callbacks.Callback):
    """Lets all processes end training where rank 0 does, as a search or a clock may decide.

    Args:
        of_rank_0: What rank 0 has decided after an epoch, numbered from 0, from that and what this
            process has decided.
    """

    async_safe = True  # it has no batch hooks

    def __init__(self, of_rank_0: Callable[[int, bool], bool]) -> None:
        super().__init__()
        self._of_rank_0 = of_rank_0

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Take the decision of rank 0."""
        self.model.stop_training = self._of_rank_0(epoch, bool(self.model.stop_training))
