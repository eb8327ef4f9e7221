"""A ``torch.utils.data.DataLoader``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import keras
import torch

if TYPE_CHECKING:
    import numpy as np

    from dlrun.data.batches import Batches


def torch_dataloader(batches: Batches) -> torch.utils.data.DataLoader:
    """A data set of tensors with a batch sampler that follows dlrun's order."""
    return torch.utils.data.DataLoader(
        _Samples(batches),
        batch_sampler=_Order(batches),
        collate_fn=lambda batch: batch,  # already a batch
        # It draws a number each epoch, needed or not: not from the run's generator.
        generator=torch.Generator(),
    )


class _Samples(torch.utils.data.Dataset):
    """The samples as tensors, scaled on request."""

    def __init__(self, batches: Batches) -> None:
        self._batches = batches

    def __len__(self) -> int:
        return len(self._batches.split)

    def __getitems__(self, indices: np.ndarray) -> tuple[Any, ...]:
        """A whole batch; torch prefers this method if a data set has it."""
        return tuple(keras.tree.map_structure(torch.from_numpy, self._batches.prepare(indices)))


class _Order(torch.utils.data.Sampler):
    """The samples of each batch, in the epoch's order."""

    def __init__(self, batches: Batches) -> None:
        self._batches = batches

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[np.ndarray]:
        return map(self._batches.sample_indices, range(len(self._batches)))
