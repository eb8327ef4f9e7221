"""Keras' own loop, fed in our order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

if TYPE_CHECKING:  # a loop meets its data and its backend as objects
    from dlrun.backends import BackendModule
    from dlrun.data.batches import Batches


def fit(
    model: keras.Model,
    train: Batches,
    validation: Batches | None,
    *,
    epochs: int,
    seed: int,
    callbacks: Sequence[keras.callbacks.Callback],
    backend: BackendModule,
    feed: Callable[[Batches], Any] | None = None,
    jit_compile: bool | str = "auto",
    steps_per_execution: int = 1,
) -> dict[str, list[float]]:
    """Train a compiled model with ``model.fit``.

    Args:
        model: Compiled.
        train: Batches, reordered each epoch.
        validation: Evaluated after each epoch; None to do without.
        epochs: How many.
        seed: With the epoch, decides all that is random in it.
        callbacks: In the order in which they are called.
        backend: The backend in use.
        feed: From batches to what ``model.fit`` takes, one of :mod:`dlrun.feeds`; None takes the
            backend's own.
        jit_compile: As in ``keras.Model.compile``.
        steps_per_execution: Batches per compiled call.

    Returns:
        What each epoch logged, by name.
    """
    if jit_compile != "auto":  # which compile() has resolved for this backend
        model.jit_compile = jit_compile
    model.steps_per_execution = steps_per_execution
    backend.track(model)
    feed = feed or backend.feed
    history = model.fit(
        feed(train),
        epochs=epochs,
        validation_data=None if validation is None else feed(validation),
        callbacks=[StartEpoch(train, seed, backend), *callbacks],
        # The order is ours, and so is the progress; Keras would reorder the batches.
        shuffle=False,
        verbose=0,
    )
    return dict(history.history)


class StartEpoch(keras.callbacks.Callback):
    """Makes all that is random in an epoch a function of seed and epoch."""

    def __init__(self, train: Batches, seed: int, backend: BackendModule) -> None:
        super().__init__()
        self._train = train
        self._seed = seed
        self._backend = backend
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Draw the order of the batches, and set every generator that layers draw from."""
        self._epoch = epoch
        self._train.start_epoch(epoch)
        states = [v for v in self.model.variables if v.path.endswith("seed_generator_state")]
        for number, state in enumerate(states):
            sequence = np.random.SeedSequence([self._seed, epoch, number])
            state.assign(sequence.generate_state(2).astype(state.dtype))

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Set the framework's own generator; not sooner, as torch's data loader draws from it."""
        if batch == 0:
            [native] = np.random.SeedSequence([self._seed, self._epoch]).generate_state(1)
            self._backend.seed_epoch(int(native))
