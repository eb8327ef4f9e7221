"""Keras' own loop, with dlrun's order of batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import keras

from dlrun.loops.epoch import StartEpoch, build_metrics
from dlrun.loops.hooks import StepHooks
from dlrun.loops.training import History, Training, loop

if TYPE_CHECKING:  # a loop does not import data
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
        training: What to train, and how.
        feed: Makes a source for ``model.fit`` from batches, one of :mod:`dlrun.feeds`; None is the
            backend's default.
        jit_compile: As in ``keras.Model.compile``.
        steps_per_execution: Batches per compiled call.

    Returns:
        The values that each epoch logged, by name.
    """
    model, train, validation = training.model, training.train, training.validation
    if jit_compile != "auto":  # compile() has resolved auto for this backend
        model.jit_compile = jit_compile
    model.steps_per_execution = steps_per_execution
    training.backend.track(model)
    # Else Keras does not tell the layers of a model whose call has no such argument.
    model._call_has_training_arg = True
    feed = feed or training.backend.feed
    start_epoch = StartEpoch(train, training.seed, training.backend)
    callbacks = [start_epoch, *training.callbacks]
    params = {"model": model, "epochs": training.epochs, "steps": len(train)}
    if training.initial_step:
        build_metrics(model, train)  # so that a checkpoint's values can be assigned
        _skip_steps(model, training.initial_step, steps_per_execution)
        hooks: StepHooks = _SkipInitialSteps(training.initial_step, callbacks, **params)
    else:
        hooks = StepHooks(callbacks, **params)
    history = model.fit(
        feed(train),
        epochs=training.epochs,
        initial_epoch=training.initial_epoch,
        validation_data=None if validation is None else feed(validation),
        callbacks=hooks,
        # dlrun orders the batches and shows the progress.
        shuffle=False,
        verbose=0,
    )
    return dict(history.history)


def _skip_steps(model: keras.Model, steps: int, steps_per_execution: int) -> None:
    """Let the first steps read their batches from the source without training on them."""
    model.make_train_function()
    function, left = model.train_function, steps

    def skip(*arguments: Any) -> Any:
        nonlocal left
        if left <= 0:
            return function(*arguments)
        *state, source = arguments
        if hasattr(source, "__next__"):  # torch gets the batch itself
            for _ in range(min(left, steps_per_execution)):
                next(source)
        left -= steps_per_execution
        return ({}, *state) if state else {}  # on jax the state holds the variables

    model.train_function = skip


class _SkipInitialSteps(StepHooks):
    """Callbacks whose batch hooks are not called for the skipped steps.

    Args:
        left: The number of skipped steps in the first epoch.
        callbacks: The callbacks, in calling order.
        **params: As for :class:`dlrun.loops.hooks.StepHooks`.
    """

    def __init__(self, left: int, callbacks: Sequence[Any], **params: Any) -> None:
        super().__init__(callbacks, **params)
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
