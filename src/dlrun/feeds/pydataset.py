"""A ``keras.utils.PyDataset``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

if TYPE_CHECKING:
    from dlrun.data.batches import Batches, Take


class BatchSequence(keras.utils.PyDataset):
    """Batches in their current order when Keras requests them.

    Args:
        batches: The order and number of the batches.
        take: Maps indices into the split, ``(batch,)``, to inputs, labels, and weights if it has
            them.
    """

    def __init__(self, batches: Batches, take: Take) -> None:
        super().__init__()
        self._batches = batches
        self._take = take

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        return self._take(self._batches.sample_indices(index))


def pydataset(batches: Batches) -> BatchSequence:
    """Gather and scale each batch on request; memory holds only the original samples."""
    return BatchSequence(batches, batches.prepare)
