"""Restore the state of a run when training begins."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from dlrun.callbacks.protocol import run_callback
from dlrun.errors import DlrunError, describe


class Restore(keras.callbacks.Callback):
    """Restores the callbacks' counters, which they reset when training begins.

    It must come after all of them.

    Args:
        states: The checkpoint's state of each callback, by name.
        callbacks: By name; one without a state in the checkpoint is not changed.
        weights: The best epoch's weights, by name of the callbacks that restore them.
        history: What each completed epoch logged.
    """

    def __init__(
        self,
        states: Mapping[str, Mapping[str, Any]],
        callbacks: Mapping[str, keras.callbacks.Callback],
        weights: Mapping[str, Any],
        history: Sequence[Mapping[str, float]] = (),
    ) -> None:
        super().__init__()
        self._states, self._callbacks, self._weights = states, callbacks, weights
        self._history = history

    def on_train_begin(self, logs: Any = None) -> None:
        """Restore the counters; also called if nothing is left to train.

        Raises:
            DlrunError: If a callback does not accept its state.
        """
        if self._history:
            for callback in self._callbacks.values():
                run_callback(callback).set_history(self._history)
        for name, state in self._states.items():
            if (callback := self._callbacks.get(name)) is None:
                continue
            try:
                run_callback(callback).set_state(state)
            except (AttributeError, LookupError, TypeError, ValueError) as error:
                raise DlrunError(
                    f"callbacks.{name} can't be restored from the checkpoint: {describe(error)}",
                    hint=f"to resume without it, add ~callbacks.{name}",
                    exit_code=1,
                ) from error
            if name in self._weights:
                run_callback(callback).set_best_weights(self._weights[name])


class RestoreStep(Restore):
    """Also restores the state that an epoch resets, for a checkpoint within an epoch.

    Args:
        states: As for :class:`Restore`.
        callbacks: As for :class:`Restore`.
        weights: As for :class:`Restore`.
        assign: Restores variables and random generators.
        history: As for :class:`Restore`.
    """

    batch_interval = math.inf
    """``loop=raw`` needs to call it before its first step alone, not between two others."""

    def __init__(
        self,
        states: Mapping[str, Mapping[str, Any]],
        callbacks: Mapping[str, keras.callbacks.Callback],
        weights: Mapping[str, Any],
        assign: Callable[[], None],
        history: Sequence[Mapping[str, float]] = (),
    ) -> None:
        super().__init__(states, callbacks, weights, history)
        self._assign: Callable[[], None] | None = assign

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Restore before the first step."""
        if self._assign is not None:
            # On jax the variables are read again after this.
            getattr(self.model, "jax_state_sync", lambda: None)()
            self._assign()
            self._assign = None
            self.on_train_begin()  # the epoch has reset the counters within it
