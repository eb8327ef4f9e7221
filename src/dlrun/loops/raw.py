"""The training loop written out, around steps in the backend's own terms."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras

from dlrun.errors import DlrunError
from dlrun.loops.epoch import StartEpoch, build_metrics
from dlrun.loops.step import Step
from dlrun.loops.training import History, Training, loop

if TYPE_CHECKING:
    from dlrun.backends import Stepper, TrainingBackend
    from dlrun.data.batches import Batches

log = logging.getLogger("dlrun")


@loop
def raw(
    training: Training,
    *,
    step: Any = None,
    stepper: Callable[..., Stepper] | None = None,
    compile: str = "auto",
    steps_per_execution: int | str = "auto",
) -> History:
    """Train without ``model.fit``.

    Source: Chollet, Kalinowski and Allaire, Deep Learning with R, chapter 7, loops from scratch.

    Args:
        training: The run.
        step: A :class:`dlrun.loops.step.Step`.
        stepper: From model, step, compile and scale to a :class:`dlrun.backends.Stepper`: all of
            training in terms of one's own. None takes the backend's.
        compile: auto, eager, graph or xla.
        steps_per_execution: Batches per compiled call, and so per call of a batch's hooks. ``auto``
            takes the backend's best where no callback has to see each batch, else 1.

    Returns:
        What each epoch logged, by name.

    Raises:
        DlrunError: If the step is one for ``fit`` alone.
    """
    model, train, validation = training.model, training.train, training.validation
    step = step or Step()
    _check(step, compile)
    step.begin(model, training.seed)
    made = _made(model, train, step, stepper, compile, training.backend)
    hooks = keras.callbacks.CallbackList(
        [StartEpoch(train, training.seed, training.backend), *training.callbacks],
        add_history=True,
        model=model,
        epochs=training.epochs,
        steps=len(train),
        verbose=0,
    )
    watched = any(_sees_batches(callback) for callback in training.callbacks)
    if steps_per_execution == "auto":
        steps_per_execution = 1 if watched else made.best
    passes = _Passes(model, hooks, made.stepper, int(steps_per_execution), watched)
    model.stop_training = False
    logs: dict[str, float] = {}
    initial_step = training.initial_step
    hooks.on_train_begin()
    for epoch in range(training.initial_epoch, training.epochs):
        model.reset_metrics()
        hooks.on_epoch_begin(epoch)
        logs = passes.train(train, initial_step)
        initial_step = 0
        if validation is not None:
            logs |= {f"val_{name}": value for name, value in passes.test(validation).items()}
        hooks.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
    model.optimizer.finalize_variable_values(model.trainable_variables)
    hooks.on_train_end(logs)
    return dict(model.history.history)


@dataclass(frozen=True)
class _Made:
    """A stepper, what it was made from, and how many steps it makes best in one call."""

    asked: tuple[Any, ...]
    stepper: Stepper
    best: int


def _made(
    model: keras.Model,
    train: Batches,
    step: Any,
    stepper: Callable[..., Stepper] | None,
    compile: str,
    backend: TrainingBackend,
) -> _Made:
    """The stepper: with what it compiles it stays on the model, as ``fit``'s functions do."""
    scale = train.dataset.spec.scale
    asked = (stepper, compile, scale)
    before: _Made | None = getattr(model, "raw_function", None)
    if type(step) is Step and before is not None and before.asked == asked:
        return before
    build_metrics(model, train)
    planned, best = backend.plan_raw(model, train[len(train) - 1][0], compile)
    made = (stepper or backend.stepper)(model, step, compile=planned, scale=scale)
    model.raw_function = now = _Made(asked, made, best)
    return now


class _Passes:
    """One pass over the batches, for training and for validation.

    Args:
        model: Compiled.
        hooks: All callbacks.
        stepper: The backend's.
        at_once: Batches per call of the stepper.
        watched: Whether a callback may read or change the model between two batches.
    """

    def __init__(
        self,
        model: keras.Model,
        hooks: keras.callbacks.CallbackList,
        stepper: Stepper,
        at_once: int,
        watched: bool,
    ) -> None:
        self._model = model
        self._hooks = hooks
        self._stepper = stepper
        self._at_once = at_once
        self._watched = watched

    def train(self, batches: Batches, first: int = 0) -> dict[str, float]:
        """Train on every batch from the first on; what the epoch logged."""
        return self._pass(
            batches,
            first,
            self._stepper.train,
            self._hooks.on_train_batch_begin,
            self._hooks.on_train_batch_end,
        )

    def test(self, batches: Batches) -> dict[str, float]:
        """Measure on every batch; what that logged."""
        hooks = self._hooks
        self._model.reset_metrics()
        hooks.on_test_begin()
        logs = self._pass(
            batches, 0, self._stepper.test, hooks.on_test_batch_begin, hooks.on_test_batch_end
        )
        hooks.on_test_end(logs)
        return logs

    def _pass(
        self,
        batches: Batches,
        initial: int,
        steps: Callable[[Any, Any], dict[str, Any]],
        begin: Callable[[int], None],
        end: Callable[[int, dict[str, Any]], None],
    ) -> dict[str, float]:
        logs: dict[str, Any] = {}
        self._stepper.load()
        try:
            for first, last, chosen in _chunks(batches, self._at_once, initial):
                begin(first)
                if self._watched:
                    self._stepper.load()
                logs = steps(*batches.gather(chosen))
                if self._watched:
                    self._stepper.store()
                end(last, logs)
                if self._model.stop_training:
                    break
        finally:
            self._stepper.store()
        return {name: float(value) for name, value in logs.items()}


def _chunks(batches: Batches, at_once: int, initial: int) -> Iterator[tuple[int, int, Any]]:
    """The batches' samples from an initial batch on, some batches at a time.

    Yields:
        The first and the last batch's number, and the samples, ``(steps, batch_size)``. There are
        at most three shapes, as each is compiled anew: whole chunks, what is left of the whole
        batches, and the last batch where it is smaller.
    """
    size, order = batches.batch_size, batches.order
    whole = len(order) // size
    # As many steps in each chunk as leave the fewest for another shape.
    steps = math.ceil(whole / math.ceil(whole / at_once)) if whole else 1
    for first in range(initial, whole, steps):
        last = min(first + steps, whole)
        yield first, last - 1, order[first * size : last * size].reshape(last - first, size)
    if rest := len(order) - whole * size:
        yield whole, whole, order[-rest:].reshape(1, rest)


def _sees_batches(callback: keras.callbacks.Callback) -> bool:
    # As Keras decides whether callbacks may run beside the next step.
    if getattr(callback, "async_safe", False):
        return False
    hooks = ("on_batch_begin", "on_batch_end", "on_train_batch_begin", "on_train_batch_end")
    return any(
        getattr(type(callback), hook) is not getattr(keras.callbacks.Callback, hook)
        for hook in hooks
    )


def _check(step: Any, compile: str) -> None:
    if hasattr(step, "train_step"):
        raise DlrunError(
            f"loop.step: {type(step).__name__} has a train_step, which fit() calls and loop=raw"
            " does not",
            hint="choose loop=train_step, or override the hooks of dlrun.loops.step.Step",
        )
    if compile == "eager":
        log.info("eager  nothing is compiled: for debugging")
