"""What callbacks decide by, as JSON holds it: saved in a checkpoint, put back on resumption."""

from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np

from dlrun.checkpoints.resumable import COUNTERS


def state_of(callback: keras.callbacks.Callback) -> dict[str, Any]:
    """What ``get_state`` tells where a callback has it, else those of Keras' counters it has."""
    if hasattr(callback, "get_state"):
        return dict(callback.get_state())
    found = {name: getattr(callback, name, None) for name in COUNTERS}
    return {name: _plain(v) for name, v in found.items() if isinstance(v, int | float | np.number)}


def put_back(callback: keras.callbacks.Callback, state: Mapping[str, Any]) -> None:
    """Undo what ``on_train_begin`` has reset."""
    if hasattr(callback, "set_state"):
        callback.set_state(state)
        return
    for name, value in state.items():
        if name in COUNTERS:  # and nothing else, whatever a file may say
            setattr(callback, name, value)


def epochs_to_restore(
    callbacks: Mapping[str, keras.callbacks.Callback], states: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[str, int]]:
    """The callbacks that put the weights of their best epoch back at the end, and that epoch."""
    for name, state in states.items():
        if getattr(callbacks.get(name), "restore_best_weights", False) and "best" in state:
            yield name, int(state["best_epoch"]) + 1


def _plain(value: Any) -> int | float | bool:
    return value if isinstance(value, int) else float(value)
