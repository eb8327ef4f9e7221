"""The protocol between the runner and its callbacks, beyond Keras' hooks.

:func:`run_callback` gives every callback the full protocol. dlrun's callbacks derive from
:class:`RunCallback`, Keras' callbacks keep their counters in attributes, and a user's callback may
have any of the methods.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from dlrun.checkpoints.resumable import COUNTERS


class RunCallback(keras.callbacks.Callback):
    """A callback with the full protocol; by default every method does nothing.

    ``async_safe`` is Keras' own: whether the batch hooks may run during the next step.
    """

    async_safe = False

    def set_run(self, *, data: Any, written_by: Any, callbacks: Any, backend: Any) -> None:
        """Take what the callback needs from its run, once the run is built.

        Args:
            data: The :class:`dlrun.data.dataset.Dataset`.
            written_by: Versions, cores, backend and device, as in a checkpoint's manifest.
            callbacks: All callbacks of the run by name, including this one.
            backend: The backend in use.
        """

    def close(self) -> None:
        """Close files; also called when training ends with an error."""

    def get_state(self) -> dict[str, Any]:
        """The callback's state for a checkpoint, in JSON types."""
        return {}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Continue from what :meth:`get_state` returned; after ``on_train_begin``."""

    def get_row(self) -> dict[str, Any]:
        """What the callback keeps of the epoch that just ended, in JSON types.

        A checkpoint holds only the newest row, so that it costs the same after any number of
        epochs; :meth:`set_state` gets all of them, in order, as ``rows``.
        """
        return {}

    def set_history(self, rows: Sequence[Mapping[str, float]]) -> None:
        """Take what each completed epoch of a resumed run logged, with its number as ``epoch``."""

    def get_stopped_epoch(self) -> int:
        """The epoch at which this callback stopped training; 0 if it has not."""
        return 0

    def get_seconds(self) -> dict[str, float]:
        """What the callback has measured, in seconds, by name: added to those of the result."""
        return {}

    def get_best_epoch(self) -> int | None:
        """The best epoch so far; None except from the callback that decides it."""
        return None

    def get_epoch_to_restore(self, state: Mapping[str, Any]) -> int | None:
        """The epoch whose weights the callback restores when training ends; None for no restore.

        Args:
            state: From :meth:`get_state`.
        """
        return None

    def set_best_weights(self, weights: Any) -> None:
        """Take the weights of :meth:`get_epoch_to_restore`."""


class _Adapter(RunCallback):
    """The protocol for a Keras or user callback, which may implement only part of it."""

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
        values = {name: getattr(self._callback, name, None) for name in COUNTERS}
        numbers = {n: v for n, v in values.items() if isinstance(v, int | float | np.number)}
        return {n: v if isinstance(v, int) else float(v) for n, v in numbers.items()}

    def set_state(self, state: Mapping[str, Any]) -> None:
        if hasattr(self._callback, "set_state"):
            self._callback.set_state(state)
            return
        for name, value in state.items():
            if name in COUNTERS:  # a file may name any attribute
                setattr(self._callback, name, value)

    def get_stopped_epoch(self) -> int:
        return int(getattr(self._callback, "stopped_epoch", 0) or 0)

    def get_seconds(self) -> dict[str, float]:
        return dict(self._callback.get_seconds()) if hasattr(self._callback, "get_seconds") else {}

    def get_epoch_to_restore(self, state: Mapping[str, Any]) -> int | None:
        if getattr(self._callback, "restore_best_weights", False) and "best" in state:
            return int(state["best_epoch"]) + 1
        return None

    def set_best_weights(self, weights: Any) -> None:
        self._callback.best_weights = weights


def run_callback(callback: keras.callbacks.Callback) -> RunCallback:
    """The callback with the full protocol: itself, or an adapter around it."""
    return callback if isinstance(callback, RunCallback) else _Adapter(callback)
