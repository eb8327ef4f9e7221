"""What a user knows the samples of a split by: files, rows of a table, or ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class SampleIds:
    """Names of samples, made when one is asked for.

    Args:
        rows: The place of each sample in its source, from 0, ``(samples,)`` int64.
        names: By place; None names a sample by its row, counted from 1.
    """

    rows: np.ndarray
    names: Sequence[object] | None = None

    def __call__(self, sample: int) -> str:
        """The name of a sample, by its number in the split."""
        row = int(self.rows[sample])
        return f"row {row + 1}" if self.names is None else str(self.names[row])

    def __getitem__(self, samples: slice) -> SampleIds:
        """The names of some samples."""
        return SampleIds(self.rows[samples], self.names)
