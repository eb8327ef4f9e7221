"""The samples of a raw loop's calls, gathered in memory or on the device."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from dlrun.loops.training import Training

if TYPE_CHECKING:  # a loop does not import data or backends
    import numpy as np

    from dlrun.data.batches import Batches, Take

SHARE = 0.25  # of the device's free memory; the model and what it computes need the rest


class Gather:
    """Gives a stepper the samples of several batches.

    Args:
        training: What to train.
        data_on_device: Whether the splits lie on the device, ``true``, ``false`` or ``auto``.
            Those of a run on several devices never do.
    """

    def __init__(self, training: Training, data_on_device: bool | str) -> None:
        splits = [training.train, *([training.validation] if training.validation else [])]
        self._on_device: dict[int, Take] = {}
        wanted = data_on_device is True or (
            data_on_device == "auto" and _fit(splits, training.backend.free_device_bytes())
        )
        for batches in splits if wanted else []:
            if (gather := training.backend.place(batches)) is not None:
                self._on_device[id(batches)] = gather

    @property
    def on_device(self) -> bool:
        """Whether the samples lie on the device."""
        return bool(self._on_device)

    def __call__(self, batches: Batches, samples: np.ndarray) -> tuple[Any, ...]:
        """The arguments of a stepper for samples of a split: its indices, ``(steps, size)``."""
        return self._on_device.get(id(batches), batches.gather)(samples)


def _fit(splits: list[Batches], free: int | None) -> bool:
    """Whether the splits take a small part of the device's free memory; None on a CPU."""
    if free is None:
        return False
    arrays = [array for batches in splits for array in batches.split.arrays()]
    return sum(math.prod(a.shape) * a.dtype.itemsize for a in arrays) <= SHARE * free
