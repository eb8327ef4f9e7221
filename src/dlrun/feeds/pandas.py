"""pandas data frames."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

import pandas as pd

from dlrun.feeds.pydataset import BatchSequence

if TYPE_CHECKING:
    import numpy as np

    from dlrun.data.batches import Batches


def pandas(batches: Batches) -> BatchSequence:
    """Store each array of the split as a data frame, and select a batch's rows by position.

    A row is a flattened sample: images ``(samples, 28, 28)`` become a frame of 784 columns, labels
    ``(samples,)`` a single column, and each named array its own frame. A batch has the original
    shape. ``fit()`` would read frames in their own or in Keras' order, so dlrun passes them batch
    by batch.
    """
    framed = copy(batches)
    framed.split = batches.split.map(_Frame)
    return BatchSequence(batches, framed.prepare)


class _Frame:
    """A data frame that is indexed like the array it was made from."""

    def __init__(self, array: np.ndarray) -> None:
        self.shape = array.shape
        # pandas would copy it to contiguous columns, but batches select rows.
        self._frame = pd.DataFrame(array.reshape(len(array), -1), copy=False)

    def __len__(self) -> int:
        return len(self._frame)

    def __getitem__(self, indices: np.ndarray) -> Any:
        # A copy, as pandas returns a read-only array, for which torch logs a warning.
        rows = self._frame.iloc[indices].to_numpy(copy=True)
        return rows.reshape(len(indices), *self.shape[1:])
