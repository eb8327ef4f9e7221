"""A copy of the model on each device, on jax."""

from collections.abc import Sequence
from typing import Any

import keras

from dlrun.backends._spread import Spread


def distribution(spread: Spread, devices: Sequence[str]) -> Any:
    """The Keras distribution of a run on these devices, as ``kind:index``."""
    return keras.distribution.DataParallel(devices=list(devices), auto_shard_dataset=False)
