"""NumPy arrays."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from dlrun.feeds.pydataset import BatchSequence

if TYPE_CHECKING:
    from dlrun.data.batches import Batches


def numpy(batches: Batches) -> BatchSequence:
    """Scale the whole split first, then gather the batches from these arrays.

    They are what a script holds that gives arrays to ``fit()``: float32, four times the memory of
    pixels. ``fit()`` takes arrays in their own order or in one of Keras', never in ours, and so is
    given them a batch at a time.
    """
    inputs, labels = batches.prepare(np.arange(batches.samples))
    scaled = copy(batches)
    scaled.split = replace(batches.split, inputs=inputs, labels=labels)
    return BatchSequence(batches, scaled.prepare)
