"""Put a run back to where a checkpoint was written."""

from collections.abc import Callable, Mapping
from typing import Any

import keras

from dlrun.callbacks.counters import put_back


class Restore(keras.callbacks.Callback):
    """Puts the callbacks' counters back, which they reset when training begins.

    It comes after all of them.

    Args:
        states: By the callbacks' names, as the checkpoint has them.
        callbacks: By name; one that the checkpoint does not know stays as it is.
    """

    def __init__(
        self,
        states: Mapping[str, Mapping[str, Any]],
        callbacks: Mapping[str, keras.callbacks.Callback],
    ) -> None:
        super().__init__()
        self._pairs = [(callbacks[name], states[name]) for name in states if name in callbacks]

    def on_train_begin(self, logs: Any = None) -> None:
        """Put the counters back; also called where nothing is left to train."""
        for callback, state in self._pairs:
            put_back(callback, state)


class RestoreStep(Restore):
    """Puts back, too, what an epoch sets anew when it begins: it was saved within one.

    Args:
        states: As for :class:`Restore`.
        callbacks: As for :class:`Restore`.
        assign: Gives variables and generators what they had.
    """

    def __init__(
        self,
        states: Mapping[str, Mapping[str, Any]],
        callbacks: Mapping[str, keras.callbacks.Callback],
        assign: Callable[[], None],
    ) -> None:
        super().__init__(states, callbacks)
        self._assign: Callable[[], None] | None = assign

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Assign, before the first step that is taken."""
        if self._assign is not None:
            # On jax the variables are read again after that.
            getattr(self.model, "jax_state_sync", lambda: None)()
            self._assign()
            self._assign = None
