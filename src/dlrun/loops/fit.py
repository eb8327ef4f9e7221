"""Keras' own loop, with dlrun's order of batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import keras

from dlrun.loops.epoch import RANDOM_STATE, StartEpoch, build_metrics, tell_length
from dlrun.loops.hooks import StepHooks, may_change_model
from dlrun.loops.training import History, Training

if TYPE_CHECKING:  # a loop does not import data or backends
    from dlrun.backends import TrainingBackend
    from dlrun.data.batches import Batches


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
    model = training.model
    if jit_compile != "auto":  # compile() has resolved auto for this backend
        model.jit_compile = jit_compile
    model.steps_per_execution = steps_per_execution
    # The first process may have more callbacks.
    changes = bool(training.agree(int(may_change_model(training.callbacks))))
    training.backend.track(model, is_changed=changes)
    # Else Keras does not tell the layers of a model whose call has no such argument.
    model._call_has_training_arg = True
    return _Calls(training, feed or training.backend.feed).train()


class _Calls:
    """The calls of ``model.fit``: one for all epochs with the same number of steps.

    Args:
        training: What to train, with a prepared model.
        feed: Makes a source for ``model.fit`` from batches.
    """

    def __init__(self, training: Training, feed: Callable[[Batches], Any]) -> None:
        self._training, self._feed = training, feed
        model, train, validation = training.model, training.train, training.validation
        start_epoch = StartEpoch(train, training.seed, training.backend)
        train.start_epoch(training.initial_epoch)
        # So that a checkpoint's values can be assigned. Where nothing is traced, it takes less time
        # than Keras' way of doing it, for which torch imports sympy.
        if training.initial_step or not training.backend.TRACES:
            build_metrics(model, train)
        if training.initial_step:
            _skip_steps(model, training.initial_step)
        self._hooks = _Hooks(
            training.initial_step,
            [start_epoch, *training.callbacks],
            model=model,
            epochs=training.epochs,
            steps=len(train),
        )
        self._validated = None if validation is None else feed(validation)
        self._source: Any = None

    def train(self) -> History:
        """Train to the last epoch, or until a callback stops it."""
        model, train, epochs = self._training.model, self._training.train, self._training.epochs
        first = self._training.initial_epoch
        while first < train.epochs_within(epochs):
            end = train.alike_until(first, epochs)
            is_last = end == train.epochs_within(epochs)
            with nullcontext() if is_last else self._hooks.part_of_training():
                self._call(first, end)
            first = end
            if model.stop_training:
                if not is_last:
                    model.optimizer.finalize_variable_values(model.trainable_variables)
                    self._hooks.on_train_end()
                break
        return dict(model.history.history)

    def _call(self, first: int, end: int) -> None:
        """Train some epochs."""
        model, train = self._training.model, self._training.train
        train.start_epoch(first)
        tell_length(self._hooks, train, first, self._training.epochs)
        if train.is_cut:
            _remember_random_state(model, self._training.backend, len(train))
        if not _has_length(self._source, len(train)):  # to make one may copy the whole split
            self._source = self._feed(train)
        model.fit(
            self._source,
            epochs=end,
            initial_epoch=first,
            validation_data=self._validated,
            callbacks=self._hooks,
            # dlrun orders the batches and shows the progress.
            shuffle=False,
            verbose=0,
        )


def _has_length(source: Any, steps: int) -> bool:
    """Whether there is a source of so many steps: one of arrays follows their number."""
    try:
        return len(source) == steps
    except TypeError:
        return False


def _remember_random_state(model: keras.Model, backend: TrainingBackend, steps: int) -> None:
    """Keep the random state after the last step, for a run that continues from there.

    torch's data loader draws from the generator after the last step, and a hook is called after
    that step too late, or from another thread.
    """
    model.make_train_function()
    function, left = model.train_function, steps

    def remember(*arguments: Any) -> Any:
        nonlocal left
        result = function(*arguments)
        left -= model.steps_per_execution
        if left <= 0:
            vars(model)[RANDOM_STATE] = backend.random_state()
            model.train_function = function
        return result

    model.train_function = remember


def _skip_steps(model: keras.Model, steps: int) -> None:
    """Let the first steps read their batches from the source without training on them."""
    model.make_train_function()
    function, left = model.train_function, steps

    def skip(*arguments: Any) -> Any:
        nonlocal left
        if left <= 0:
            return function(*arguments)
        *state, source = arguments
        if hasattr(source, "__next__"):  # torch gets the batch itself
            for _ in range(min(left, model.steps_per_execution)):
                next(source)
        left -= model.steps_per_execution
        return ({}, *state) if state else {}  # on jax the state holds the variables

    model.train_function = skip


class _Hooks(StepHooks):
    """Callbacks of a training in one call of ``fit`` or several, which may begin within an epoch.

    Their batch hooks are not called for the skipped steps.

    Args:
        left: The number of skipped steps in the first epoch.
        callbacks: The callbacks, in calling order.
        **params: As for :class:`dlrun.loops.hooks.StepHooks`.
    """

    def __init__(self, left: int, callbacks: Sequence[Any], **params: Any) -> None:
        super().__init__(callbacks, **params)
        self._left = left
        self._has_begun = self._goes_on = False

    @contextmanager
    def part_of_training(self) -> Iterator[None]:
        """Training goes on after the call of ``fit`` in this block."""
        optimizer = self.model.optimizer
        # It may replace the weights by their averages.
        optimizer.finalize_variable_values = lambda variables: None
        self._goes_on = True
        try:
            yield
        finally:
            self._goes_on = False
            del optimizer.finalize_variable_values

    def on_train_begin(self, logs: Any = None) -> None:
        if not self._has_begun:
            self._has_begun = True
            super().on_train_begin(logs)

    def on_train_end(self, logs: Any = None) -> None:
        if not self._goes_on:
            super().on_train_end(logs)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if batch >= self._left:
            super().on_train_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        # Of a call of several steps, Keras tells the last, even if the epoch ends before it.
        batch = min(batch, self.params["steps"] - 1)
        if batch >= self._left:
            super().on_train_batch_end(batch, logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._left = 0
        super().on_epoch_end(epoch, logs)
