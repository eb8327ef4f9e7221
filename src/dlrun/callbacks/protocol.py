"""What a callback may have beyond Keras' hooks, for the runner.

:func:`run_callback` gives every callback all of it: one of dlrun's derives from
:class:`RunCallback`, Keras' own keep their counters in attributes, and one of the user's may have
any of the methods.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from dlrun.checkpoints.resumable import COUNTERS


class RunCallback(keras.callbacks.Callback):
    """A callback with all that the runner may ask of one; nothing here does anything.

    ``async_safe`` is Keras' own: whether hooks of a batch may run beside the next step.
    """

    async_safe = False

    def set_run(self, *, data: Any, written_by: Any, callbacks: Any, backend: Any) -> None:
        """Take what a callback may need of its run, once all parts of it are built.

        Args:
            data: The :class:`dlrun.data.dataset.Dataset`.
            written_by: Versions, cores, backend and device, as a checkpoint's manifest has them.
            callbacks: All callbacks of the run, by name, this one included.
            backend: The backend in use.
        """

    def close(self) -> None:
        """Close files; also called when training ends by an error."""

    def get_state(self) -> dict[str, Any]:
        """What the callback decides by, as JSON holds it, for a checkpoint."""
        return {}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Continue from what :meth:`get_state` returned; after ``on_train_begin``."""

    def get_stopped_epoch(self) -> int:
        """The epoch at which this callback ended training; 0 if it has not."""
        return 0

    def get_best_epoch(self) -> int | None:
        """The best epoch so far, of the one callback that decides it."""
        return None

    def get_epoch_to_restore(self, state: Mapping[str, Any]) -> int | None:
        """The epoch whose weights it puts back when training ends; None if it does not.

        Args:
            state: From :meth:`get_state`.
        """
        return None

    def set_best_weights(self, weights: Any) -> None:
        """Take the weights of :meth:`get_epoch_to_restore`."""


class _Adapter(RunCallback):
    """A callback of Keras' or of the user's, which has some of the protocol in its own way."""

    def __init__(self, callback: Any) -> None:
        super().__init__()
        self._callback = callback

    def set_run(self, **run: Any) -> None:
        if hasattr(self._callback, "set_run"):
            self._callback.set_run(**run)

    def close(self) -> None:
        if hasattr(self._callback, "close"):
            self._callback.close()

    def get_state(self) -> dict[str, Any]:
        if hasattr(self._callback, "get_state"):
            return dict(self._callback.get_state())
        found = {name: getattr(self._callback, name, None) for name in COUNTERS}
        numbers = {n: v for n, v in found.items() if isinstance(v, int | float | np.number)}
        return {n: v if isinstance(v, int) else float(v) for n, v in numbers.items()}

    def set_state(self, state: Mapping[str, Any]) -> None:
        if hasattr(self._callback, "set_state"):
            self._callback.set_state(state)
            return
        for name, value in state.items():
            if name in COUNTERS:  # and nothing else, whatever a file may say
                setattr(self._callback, name, value)

    def get_stopped_epoch(self) -> int:
        return int(getattr(self._callback, "stopped_epoch", 0) or 0)

    def get_epoch_to_restore(self, state: Mapping[str, Any]) -> int | None:
        if getattr(self._callback, "restore_best_weights", False) and "best" in state:
            return int(state["best_epoch"]) + 1
        return None

    def set_best_weights(self, weights: Any) -> None:
        self._callback.best_weights = weights


def run_callback(callback: keras.callbacks.Callback) -> RunCallback:
    """The callback with all of the protocol: itself, or an adapter over it."""
    return callback if isinstance(callback, RunCallback) else _Adapter(callback)
