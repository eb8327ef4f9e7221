"""Put a run back to where a checkpoint was written."""

from collections.abc import Callable, Mapping
from typing import Any

import keras

from dlrun.callbacks.protocol import run_callback
from dlrun.errors import DlrunError, first_line


class Restore(keras.callbacks.Callback):
    """Puts the callbacks' counters back, which they reset when training begins.

    It comes after all of them.

    Args:
        states: By the callbacks' names, as the checkpoint has them.
        callbacks: By name; one that the checkpoint does not know stays as it is.
        weights: Of those that restore their best epoch's, these weights.
    """

    def __init__(
        self,
        states: Mapping[str, Mapping[str, Any]],
        callbacks: Mapping[str, keras.callbacks.Callback],
        weights: Mapping[str, Any],
    ) -> None:
        super().__init__()
        self._states, self._callbacks, self._weights = states, callbacks, weights

    def on_train_begin(self, logs: Any = None) -> None:
        """Put the counters back; also called where nothing is left to train.

        Raises:
            DlrunError: If a callback does not take what it is given.
        """
        for name, state in self._states.items():
            if (callback := self._callbacks.get(name)) is None:
                continue
            try:
                run_callback(callback).set_state(state)
            except (AttributeError, LookupError, TypeError, ValueError) as error:
                raise DlrunError(
                    f"callbacks.{name} can't go on from what the checkpoint has of it:"
                    f" {type(error).__name__}: {first_line(error)}",
                    hint=f"~callbacks.{name} goes on without it",
                    exit_code=1,
                ) from error
            if name in self._weights:
                run_callback(callback).set_best_weights(self._weights[name])


class RestoreStep(Restore):
    """Puts back, too, what an epoch sets anew when it begins: it was saved within one.

    Args:
        states: As for :class:`Restore`.
        callbacks: As for :class:`Restore`.
        weights: As for :class:`Restore`.
        assign: Gives variables and generators what they had.
    """

    def __init__(
        self,
        states: Mapping[str, Mapping[str, Any]],
        callbacks: Mapping[str, keras.callbacks.Callback],
        weights: Mapping[str, Any],
        assign: Callable[[], None],
    ) -> None:
        super().__init__(states, callbacks, weights)
        self._assign: Callable[[], None] | None = assign

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Assign, before the first step that is taken."""
        if self._assign is not None:
            # On jax the variables are read again after that.
            getattr(self.model, "jax_state_sync", lambda: None)()
            self._assign()
            self._assign = None
            self.on_train_begin()  # what counts within an epoch has begun with it
