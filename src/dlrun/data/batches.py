"""Batches in an order that is ours: a function of seed and epoch, the same on every backend."""

import math
from typing import Any

import numpy as np

from dlrun.data.dataset import Dataset, Split
from dlrun.data.tree import tree_map


def permutation(seed: int, epoch: int, samples: int) -> np.ndarray:
    """The order of an epoch's samples: shape ``(samples,)``, each index once.

    Keras shuffles with another generator on each backend, so its order can be neither compared
    across backends nor resumed.
    """
    generator = np.random.default_rng(np.random.SeedSequence([seed, epoch]))
    return generator.permutation(samples)


class Batches:
    """The batches of one split, prepared one at a time.

    Args:
        dataset: For its ``scale`` and ``prepare``.
        split: The samples.
        batch_size: Samples in each batch; the last may have fewer.
        seed: Draws a new order each epoch; None keeps the split's own order.

    ``order`` holds the samples of the current epoch, ``(samples,)`` int64.
    """

    def __init__(
        self, dataset: Dataset, split: Split, batch_size: int, *, seed: int | None = None
    ) -> None:
        self.dataset = dataset
        self.split = split
        self.batch_size = batch_size
        self._seed = seed
        self.order = np.arange(len(split))

    @property
    def samples(self) -> int:
        """How many samples one epoch has."""
        return len(self.split)

    def start_epoch(self, epoch: int) -> None:
        """Draw the order of an epoch, from 0."""
        if self._seed is not None:
            self.order = permutation(self._seed, epoch, len(self.split))

    def __len__(self) -> int:
        return math.ceil(len(self.split) / self.batch_size)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """Batch ``index`` as the model takes it.

        Returns:
            Inputs ``(batch, *input_shape)`` float32, and labels as from :meth:`gather`.
        """
        return self.prepare(self.chosen(index))

    def chosen(self, index: int) -> np.ndarray:
        """The samples of batch ``index``: indices into the split, ``(batch,)`` int64."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self.order[index * self.batch_size : (index + 1) * self.batch_size]

    def prepare(self, chosen: np.ndarray) -> tuple[Any, Any]:
        """Samples as the model takes them, as from :meth:`__getitem__`."""
        inputs, labels = self.gather(chosen)
        return self.dataset.prepare(inputs), labels

    def gather(self, chosen: np.ndarray) -> tuple[Any, Any]:
        """Samples as they are kept in memory, for a loop that scales them on its device.

        Args:
            chosen: Indices into the split, of any shape, as ``(steps, batch_size)``.

        Returns:
            Inputs ``(*chosen.shape, *input_shape)`` in their own dtype, not scaled; labels int32
            where they are integers, else float32. By name where the split's are.
        """
        inputs = tree_map(lambda array: array[chosen], self.split.inputs)
        return inputs, tree_map(lambda array: _label(array[chosen]), self.split.labels)


def _label(labels: np.ndarray) -> np.ndarray:
    whole = np.issubdtype(labels.dtype, np.integer)
    return labels.astype(np.int32 if whole else np.float32, copy=False)
