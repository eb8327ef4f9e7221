"""End a run at the end of the current batch when a signal asks for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from dlrun.errors import Interrupted
from dlrun.system import signals


class Interruption(keras.callbacks.Callback):
    """Raises :class:`dlrun.errors.Interrupted` between two batches.

    Raising from a signal handler would cut a step in two, and leave jax with arrays that it has
    given away already.
    """

    async_safe = True  # it reads no logs and no weights: steps need not wait for it

    def __init__(self) -> None:
        super().__init__()
        self._heard: list[int] = []

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take SIGINT and SIGTERM as requests; a second one ends the process at once."""
        with signals.record_signals() as self._heard:
            yield

    def _raise_if_asked(self) -> None:
        if self._heard:
            raise Interrupted(self._heard[0])

    # The hooks before a batch, because those after one may run in another thread on jax.
    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Stop before another training step."""
        self._raise_if_asked()

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Stop before another validation step."""
        self._raise_if_asked()
