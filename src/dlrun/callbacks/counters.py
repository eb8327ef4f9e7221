"""What callbacks decide by, as JSON holds it: saved in a checkpoint, put back on resumption."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

# Of Keras' callbacks; each has some of them.
NAMES = (
    "wait",
    "best",
    "best_epoch",
    "stopped_epoch",
    "cooldown_counter",
    "_ema_weights_in_model",
)


def state_of(callback: keras.callbacks.Callback) -> dict[str, Any]:
    """What ``get_state`` tells where a callback has it, else those of Keras' counters it has."""
    if hasattr(callback, "get_state"):
        return dict(callback.get_state())
    found = {name: getattr(callback, name, None) for name in NAMES}
    return {name: _plain(v) for name, v in found.items() if isinstance(v, int | float | np.number)}


def put_back(callback: keras.callbacks.Callback, state: Mapping[str, Any]) -> None:
    """Undo what ``on_train_begin`` has reset."""
    if hasattr(callback, "set_state"):
        callback.set_state(state)
        return
    for name, value in state.items():
        if name in NAMES:  # and nothing else, whatever a file may say
            setattr(callback, name, value)


def _plain(value: Any) -> int | float | bool:
    return value if isinstance(value, int) else float(value)
