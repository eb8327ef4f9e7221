"""NumPy arrays."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING

import numpy as np

from dlrun.data.dataset import Split
from dlrun.feeds.pydataset import BatchSequence

if TYPE_CHECKING:
    from dlrun.data.batches import Batches


def numpy(batches: Batches) -> BatchSequence:
    """Scale the whole split first, then gather the batches from these arrays.

    The arrays are those of a script that passes arrays to ``fit()``: float32, with four times the
    memory of pixels. ``fit()`` would read plain arrays in their own or in Keras' order, so dlrun
    passes them batch by batch.
    """
    scaled = copy(batches)
    scaled.own = None  # each epoch has other samples in this process' part
    scaled.split = Split(*scaled.prepare(np.arange(len(batches.split))))
    scaled.own = batches.own
    return BatchSequence(batches, scaled.prepare)
