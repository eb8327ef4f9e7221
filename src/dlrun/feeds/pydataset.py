"""A ``keras.utils.PyDataset``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import keras

if TYPE_CHECKING:
    import numpy as np

    from dlrun.data.batches import Batches


class BatchSequence(keras.utils.PyDataset):
    """Batches in the order that is theirs when Keras asks for them.

    Args:
        batches: Their order, and how many there are.
        take: From indices into the split, ``(batch,)``, to inputs and labels.
    """

    def __init__(self, batches: Batches, take: Callable[[np.ndarray], tuple[Any, Any]]) -> None:
        super().__init__()
        self._batches = batches
        self._take = take

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self._take(self._batches.chosen(index))


def pydataset(batches: Batches) -> BatchSequence:
    """Gather and scale each batch when it is asked for; memory holds the samples as they are."""
    return BatchSequence(batches, batches.prepare)
