"""End a run at the end of the current batch when a signal asks for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from dlrun.errors import RunInterrupted
from dlrun.system import signals
from dlrun.system.ranks import current, is_launched


class Interruption(keras.callbacks.Callback):
    """Raises :class:`dlrun.errors.RunInterrupted` between two batches.

    Raising from a signal handler would cut a step in two, and leave jax with donated arrays.
    """

    async_safe = True  # it reads neither logs nor weights: steps need not wait for it
    takes_tensors = True

    def __init__(self) -> None:
        super().__init__()
        self._signals: list[int] = []

    @contextmanager
    def listen(self) -> Iterator[None]:
        """Handle SIGINT and SIGTERM as requests; a second one ends the process at once.

        ``dlrun launch`` ends its processes itself, also if Slurm signals it and all of them.
        """
        group, launched = current(), is_launched()
        if group and launched and group.rank:  # it ends with rank 0
            yield
            return
        with signals.record_signals(repeatable=launched) as self._signals:
            yield

    def _raise_if_signalled(self) -> None:
        if self._signals:
            raise RunInterrupted(self._signals[0])

    # Before a batch, because the hooks after one may run in another thread on jax.
    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Stop before the next training step."""
        self._raise_if_signalled()

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Stop before the next validation step."""
        self._raise_if_signalled()
