"""pandas data frames."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import keras
import pandas as pd

from dlrun.feeds.pydataset import BatchSequence

if TYPE_CHECKING:
    import numpy as np

    from dlrun.data.batches import Batches


def pandas(batches: Batches) -> BatchSequence:
    """Keep each array of the split as a data frame, and take a batch's rows by position.

    A row is a sample, flattened: images ``(samples, 28, 28)`` make a frame of 784 columns, labels
    ``(samples,)`` one of a single column, and each array that has a name a frame of its own. In
    the batch they have their shape again. ``fit()`` takes frames in their own order or in one of
    Keras', never in ours, and so is given them a batch at a time.
    """
    framed = copy(batches)
    inputs, labels = keras.tree.map_structure(_Frame, (batches.split.inputs, batches.split.labels))
    framed.split = replace(batches.split, inputs=inputs, labels=labels)
    return BatchSequence(batches, framed.prepare)


class _Frame:
    """A data frame that is indexed like the array which it was made of."""

    def __init__(self, array: np.ndarray) -> None:
        self.shape = array.shape
        # pandas' copy would have each column in one piece; here it is rows that are taken.
        self._frame = pd.DataFrame(array.reshape(len(array), -1), copy=False)

    def __len__(self) -> int:
        return len(self._frame)

    def __getitem__(self, chosen: np.ndarray) -> Any:
        # A copy, as what pandas gives out itself is read-only, of which torch warns.
        rows = self._frame.iloc[chosen].to_numpy(copy=True)
        return rows.reshape(len(chosen), *self.shape[1:])
