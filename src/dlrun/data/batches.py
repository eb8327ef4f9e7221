"""Batches in an order that depends only on seed and epoch, the same on every backend."""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeAlias

import numpy as np

from dlrun.data.dataset import Dataset, Split
from dlrun.data.length import ClockedLength
from dlrun.data.tree import Arrays, tree_map

# From indices into a split, ``(steps, batch_size)``, to inputs, labels, and weights if it has any.
Take: TypeAlias = Callable[[np.ndarray], tuple[Any, ...]]


def permutation(seed: int, epoch: int, samples: int) -> np.ndarray:
    """The order of an epoch's samples: shape ``(samples,)``, each index once.

    Keras shuffles with a different generator on each backend, so its order can't be compared across
    backends or resumed.
    """
    return _generator(seed, epoch).permutation(samples)


def _generator(seed: int, epoch: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence([seed, epoch]))


class Batches:
    """The batches of one split, prepared one at a time.

    Args:
        dataset: The data set, for its ``scale``, ``prepare`` and ``sampling``.
        split: The samples.
        batch_size: Samples per batch; the last may have fewer.
        seed: Draws and shuffles the samples of each pass over the training split, on which an epoch
            trains; None keeps the split's order.

    ``order`` holds the indices of the current epoch's samples, ``(samples,)`` int64. A batch is
    inputs and labels, and a third part if the split has weights.

    ``own`` is None, or says which samples of a batch of a given size this process computes, of a
    run in several processes. The inputs of the others are not read then: they are zeros.

    ``reading`` makes the context in which samples are read here. A source that reads them in
    threads of its own appends a function to ``waits``, unless that is None: how many batches were
    waited for since its last call, and how many seconds.
    """

    def __init__(
        self, dataset: Dataset, split: Split, batch_size: int, *, seed: int | None = None
    ) -> None:
        self.dataset = dataset
        self.split = split
        self.batch_size = batch_size
        self._seed = seed
        self.order = np.arange(len(split))
        trains = split is dataset.train
        self._sampling = dataset.sampling if trains else None
        self._length = dataset.length if trains and seed is not None else None
        self._epoch = 0
        self._drawn = -1, self.order  # the last pass that was drawn, and its number
        self.own: Callable[[int], slice] | None = None
        self.reading: Callable[[], AbstractContextManager[None]] = nullcontext
        self.waits: list[Callable[[], tuple[int, float]]] | None = None
        if self._sampling is not None or self._length is not None:
            self.start_epoch(0)

    @property
    def samples(self) -> int:
        """The number of samples of the current epoch."""
        return len(self.order)

    @property
    def whole_epoch(self) -> int:
        """The number of samples of an epoch that is not cut short by the end of the run."""
        return self._length.epoch if self._length else len(self.order)

    def steps_of(self, epoch: int) -> int:
        """The number of batches of an epoch, counted from 0."""
        return self._length.steps_of(epoch) if self._length else len(self)

    def epochs_within(self, most: int) -> int:
        """How many epochs there are among so many; fewer where the clock makes them longer."""
        return min(most, self._length.epochs) if self._length and self.lengths_vary else most

    def alike_until(self, first: int, end: int) -> int:
        """The end of the epochs from a first one on that have as many batches as it."""
        if self.lengths_vary:
            return first + 1
        is_shorter = first < end - 1 and self.steps_of(end - 1) != self.steps_of(first)
        return end - 1 if is_shorter else end

    @property
    def lengths_vary(self) -> bool:
        """Whether each epoch may have another number of batches."""
        return isinstance(self._length, ClockedLength)

    @property
    def is_cut(self) -> bool:
        """Whether the end of the run cuts the current epoch short."""
        return self._length is not None and self._length.is_cut(self._epoch)

    @property
    def is_weighted(self) -> bool:
        """Whether a batch has weights."""
        return self.split.weights is not None

    def start_epoch(self, epoch: int) -> None:
        """Draw the order of an epoch, counted from 0."""
        self._epoch = epoch
        if self._seed is None:
            return
        if self._length is None:
            self.order = self._draw(self._seed, epoch)
            return
        # Epochs are cut from one pass after the other.
        one_pass = self._sampling.samples if self._sampling else len(self.split)
        at = self._length.samples_until(epoch)
        end = at + self._length.samples_of(epoch)
        parts = []
        while at < end:
            number, first = divmod(at, one_pass)
            if self._drawn[0] != number:
                self._drawn = number, self._draw(self._seed, number)
            parts.append(self._drawn[1][first : first + end - at])
            at += len(parts[-1])
        self.order = parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _draw(self, seed: int, number: int) -> np.ndarray:
        """The samples of a pass over the split, counted from 0."""
        if self._sampling is not None:
            return self._sampling.draw(_generator(seed, number))
        return permutation(seed, number, len(self.split))

    def __len__(self) -> int:
        return math.ceil(self.samples / self.batch_size)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        """Batch ``index``, ready for the model.

        Returns:
            Inputs ``(batch, *input_shape)`` float32, and labels and weights as from
            :meth:`gather`.
        """
        return self.prepare(self.sample_indices(index))

    def sample_indices(self, index: int) -> np.ndarray:
        """The samples of batch ``index``: indices into the split, ``(batch,)`` int64."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self.order[index * self.batch_size : (index + 1) * self.batch_size]

    def prepare(self, indices: np.ndarray) -> tuple[Any, ...]:
        """Samples ready for the model, as from :meth:`__getitem__`."""
        with self.reading():
            inputs = self.dataset.prepare(self._own_inputs(indices))
            return self._as_whole(inputs, indices), *self._targets(indices)

    def gather(self, indices: np.ndarray) -> tuple[Any, ...]:
        """Samples as stored in memory, for a loop that scales them on its device.

        Args:
            indices: Indices into the split, of any shape, such as ``(steps, batch_size)``.

        Returns:
            Inputs ``(*indices.shape, *input_shape)`` in their own dtype, not scaled; labels int32
            if they are integers, else float32; only if the split has weights, these, float32.
            Mappings if the split's arrays are mappings.
        """
        with self.reading():
            inputs = self._own_inputs(indices)
            return self._as_whole(inputs, indices), *self._targets(indices)

    def _own_inputs(self, indices: np.ndarray) -> Arrays:
        own = indices if self.own is None else indices[..., self.own(indices.shape[-1])]
        return tree_map(lambda array: array[own], self.split.inputs)

    def _as_whole(self, inputs: Arrays, indices: np.ndarray) -> Arrays:
        """This process' own inputs at their places in the whole batch."""
        if self.own is None:
            return inputs
        own = self.own(indices.shape[-1])

        def embed(part: np.ndarray) -> np.ndarray:
            if part.shape[: indices.ndim] == indices.shape:
                return part
            # NumPy's zeros take memory only where they are written or read.
            whole = np.zeros((*indices.shape, *part.shape[indices.ndim :]), part.dtype)
            whole[(*[slice(None)] * (indices.ndim - 1), own)] = part
            return whole

        return tree_map(embed, inputs)

    def _targets(self, indices: np.ndarray) -> tuple[Any, ...]:
        labels = tree_map(lambda array: _cast_labels(array[indices]), self.split.labels)
        if self.split.weights is None:
            return (labels,)
        return labels, tree_map(lambda array: _float32(array[indices]), self.split.weights)


def _float32(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32, copy=False)


def _cast_labels(labels: np.ndarray) -> np.ndarray:
    is_integer = np.issubdtype(labels.dtype, np.integer)
    return labels.astype(np.int32 if is_integer else np.float32, copy=False)
