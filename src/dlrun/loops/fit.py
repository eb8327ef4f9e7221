"""Keras' own loop, fed in our order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import keras

from dlrun.loops.epoch import StartEpoch, build_metrics
from dlrun.loops.training import History, Training, loop

if TYPE_CHECKING:  # a loop meets its data as objects
    from dlrun.data.batches import Batches


@loop
def fit(
    training: Training,
    *,
    feed: Callable[[Batches], Any] | None = None,
    jit_compile: bool | str = "auto",
    steps_per_execution: int = 1,
) -> History:
    """Train a compiled model with ``model.fit``.

    Args:
        training: The run.
        feed: From batches to what ``model.fit`` takes, one of :mod:`dlrun.feeds`; None takes the
            backend's own.
        jit_compile: As in ``keras.Model.compile``.
        steps_per_execution: Batches per compiled call.

    Returns:
        What each epoch logged, by name.
    """
    model, train, validation = training.model, training.train, training.validation
    if jit_compile != "auto":  # which compile() has resolved for this backend
        model.jit_compile = jit_compile
    model.steps_per_execution = steps_per_execution
    training.backend.track(model)
    feed = feed or training.backend.feed
    start_epoch = StartEpoch(train, training.seed, training.backend)
    hooks: Any = [start_epoch, *training.callbacks]
    if training.initial_step:
        build_metrics(model, train)  # to which a checkpoint's values are given
        _pass_over(model, training.initial_step, steps_per_execution)
        hooks = _SilentSteps(
            training.initial_step, hooks, model=model, epochs=training.epochs, steps=len(train)
        )
    history = model.fit(
        feed(train),
        epochs=training.epochs,
        initial_epoch=training.initial_epoch,
        validation_data=None if validation is None else feed(validation),
        callbacks=hooks,
        # The order is ours, and so is the progress; Keras would reorder the batches.
        shuffle=False,
        verbose=0,
    )
    return dict(history.history)


def _pass_over(model: keras.Model, steps: int, steps_per_execution: int) -> None:
    """Let the first steps take their batches from the source, and do nothing with them."""
    model.make_train_function()
    function, left = model.train_function, steps

    def passing(*arguments: Any) -> Any:
        nonlocal left
        if left <= 0:
            return function(*arguments)
        *state, source = arguments
        if hasattr(source, "__next__"):  # torch is given the batch itself
            for _ in range(min(left, steps_per_execution)):
                next(source)
        left -= steps_per_execution
        return ({}, *state) if state else {}  # jax has its variables in a state

    model.train_function = passing


class _SilentSteps(keras.callbacks.CallbackList):
    """Callbacks that are not told of steps that were taken before.

    Args:
        left: How many, in the first epoch.
        callbacks: In the order in which they are called.
        **params: What Keras' own list is given.
    """

    def __init__(self, left: int, callbacks: Sequence[Any], **params: Any) -> None:
        super().__init__(callbacks, add_history=True, verbose=0, **params)
        self._left = left

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if batch >= self._left:
            super().on_train_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if batch >= self._left:
            super().on_train_batch_end(batch, logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._left = 0
        super().on_epoch_end(epoch, logs)
