"""A training loop without ``model.fit``, with steps in the backend's own terms."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from inspect import signature
from typing import TYPE_CHECKING, Any

import keras

from dlrun.errors import DlrunError
from dlrun.loops.epoch import StartEpoch, build_metrics, tell_length
from dlrun.loops.gather import Gather
from dlrun.loops.hooks import StepHooks, has_batch_hooks, may_change_model, numbers
from dlrun.loops.step import Step
from dlrun.loops.training import History, Training, checked

if TYPE_CHECKING:
    from dlrun.backends import Stepper
    from dlrun.data.batches import Batches

log = logging.getLogger("dlrun")


def _check(model: keras.Model, *, is_weighted: bool, options: Mapping[str, Any]) -> None:
    """Refuse a step that works only with ``fit``, and what the step or the stepper can't train."""
    step, stepper = options.get("step") or Step(), options.get("stepper")
    if hasattr(step, "train_step"):
        raise DlrunError(
            f"loop.step: {type(step).__name__} has a train_step, which loop=raw does not call",
            hint="choose loop=train_step, or override the hooks of dlrun.loops.step.Step",
        )
    if is_weighted:
        step.require_weights()
    if check := getattr(getattr(stepper, "func", stepper), "check", None):
        check(model)


@checked(_check)
def raw(
    training: Training,
    *,
    step: Any = None,
    stepper: Callable[..., Stepper] | None = None,
    compile: str = "auto",
    steps_per_execution: int | str = "auto",
    data_on_device: bool | str = "auto",
) -> History:
    """Train without ``model.fit``.

    Source: Chollet, Kalinowski and Allaire, Deep Learning with R, chapter 7, loops from scratch.

    Args:
        training: What to train, and how.
        step: A :class:`dlrun.loops.step.Step`.
        stepper: Makes a :class:`dlrun.backends.Stepper` from model, step, compile and scale, for
            training steps of your own. Its class may have a static ``check(model)``, which refuses
            a model before anything is written. None is the backend's stepper.
        compile: auto, eager, graph, xla or cuda_graph.
        steps_per_execution: Batches per compiled call, and per call of the batch hooks. ``auto`` is
            the backend's best if no callback has batch hooks, else 1.
        data_on_device: Whether the samples lie on the device, where each call gathers its batches.
            ``auto`` is on an accelerator with room for them.

    Returns:
        The values that each epoch logged, by name.

    Raises:
        DlrunError: If the step works only with ``fit``, or it or the stepper can't train the model.
    """
    model, train, validation = training.model, training.train, training.validation
    step = step or Step()
    if compile == "eager":
        log.info("eager  nothing is compiled; use it for debugging")
    step.begin(model, training.seed)
    gather = Gather(training, data_on_device if stepper is None else False)
    function = _raw_function(training, step, stepper, compile, on_device=gather.on_device)
    hooks = StepHooks(
        [StartEpoch(train, training.seed, training.backend), *training.callbacks],
        model=model,
        epochs=training.epochs,
        steps=train.steps_of(training.initial_epoch),
    )
    watching = [callback for callback in training.callbacks if has_batch_hooks(callback)]
    # The first process may have more callbacks.
    sync = bool(training.agree(int(may_change_model(training.callbacks))))
    if steps_per_execution == "auto":
        intervals = (getattr(callback, "batch_interval", 1) for callback in watching)
        steps_per_execution = training.agree(min([function.best_steps, *intervals]))
    if hasattr(function.stepper, "looped_size"):
        # The end of a run may leave a step alone that has others beside it in a longer run.
        several = int(steps_per_execution) > 1 and train.whole_epoch >= 2 * train.batch_size
        function.stepper.looped_size = train.batch_size if several else None
    passes = _Passes(model, hooks, function.stepper, int(steps_per_execution), sync, gather)
    model.stop_training = False
    logs: dict[str, float] = {}
    initial_step = training.initial_step
    hooks.on_train_begin()
    for epoch in range(training.initial_epoch, training.epochs):
        if epoch >= train.epochs_within(training.epochs):
            break
        model.reset_metrics()
        tell_length(hooks, train, epoch, training.epochs)
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
class _RawFunction:
    """A stepper, the arguments it was made with, and the best number of steps per call."""

    arguments: tuple[Any, ...]
    stepper: Stepper
    best_steps: int


def _raw_function(
    training: Training,
    step: Any,
    stepper: Callable[..., Stepper] | None,
    compile: str,
    *,
    on_device: bool,
) -> _RawFunction:
    """Make the stepper; the model keeps it and its compiled code, as for ``fit``'s functions."""
    model, train, backend = training.model, training.train, training.backend
    scale = train.dataset.spec.scale
    arguments = (stepper, compile, scale, backend, on_device)
    existing: _RawFunction | None = getattr(model, "raw_function", None)
    if type(step) is Step and existing is not None and existing.arguments == arguments:
        return existing
    build_metrics(model, train)
    batch = train[len(train) - 1][0]
    planned, best_steps = backend.plan_raw(model, batch, compile, on_device=on_device)
    made = (stepper or backend.stepper)(model, step, compile=planned, scale=scale)
    if train.is_weighted and not _takes_weights(made):
        raise DlrunError(
            f"loop.stepper: {type(made).__name__} takes no weights, and the samples have them",
            hint="def train(self, inputs, targets, *weights), and test with the same arguments",
        )
    model.raw_function = function = _RawFunction(arguments, made, best_steps)
    return function


class _Passes:
    """Passes over the batches, for training and for validation.

    Args:
        model: A compiled model.
        hooks: All callbacks.
        stepper: The stepper.
        steps_per_call: Batches per call of the stepper.
        sync: Whether a callback may read or change the model between two batches.
        gather: Gives the samples of several batches.
    """

    def __init__(
        self,
        model: keras.Model,
        hooks: keras.callbacks.CallbackList,
        stepper: Stepper,
        steps_per_call: int,
        sync: bool,
        gather: Gather,
    ) -> None:
        self._model = model
        self._hooks = hooks
        self._stepper = stepper
        self._steps_per_call = steps_per_call
        self._sync = sync
        self._gather = gather

    def train(self, batches: Batches, first: int = 0) -> dict[str, float]:
        """Train on the batches from ``first`` on; returns the epoch's logs."""
        return self._pass(
            batches,
            first,
            self._stepper.train,
            self._hooks.on_train_batch_begin,
            self._hooks.on_train_batch_end,
        )

    def test(self, batches: Batches) -> dict[str, float]:
        """Evaluate every batch; returns the logs."""
        hooks = self._hooks
        hooks.on_test_begin()  # which may look at the metrics of training
        self._model.reset_metrics()
        logs = self._pass(
            batches, 0, self._stepper.test, hooks.on_test_batch_begin, hooks.on_test_batch_end
        )
        hooks.on_test_end(logs)
        return logs

    def _pass(
        self,
        batches: Batches,
        initial: int,
        steps: Callable[..., dict[str, Any]],
        begin: Callable[[int], None],
        end: Callable[[int, dict[str, Any]], None],
    ) -> dict[str, float]:
        logs: dict[str, Any] = {}
        self._stepper.load()
        try:
            for first, last, samples in _chunks(batches, self._steps_per_call, initial):
                begin(first)
                # A resumed run restores its state before its first step.
                if self._sync or first == initial:
                    self._stepper.load()
                logs = steps(*self._gather(batches, samples))
                if self._sync:
                    self._stepper.store()
                end(last, logs)
                if self._model.stop_training:
                    break
        finally:
            self._stepper.store()
        return numbers(logs)


def _chunks(batches: Batches, steps_per_call: int, initial: int) -> Iterator[tuple[int, int, Any]]:
    """The samples of the batches from an initial batch on, several batches at a time.

    Yields:
        The first and the last batch's index, and the samples, ``(steps, batch_size)``. There are at
        most three shapes, as each is compiled separately: full chunks, the remaining full batches
        (one by one where each epoch has another number), and the last batch if it is smaller.
    """
    size, order = batches.batch_size, batches.order
    whole = len(order) // size
    # The chunk size that leaves the fewest batches of a whole epoch for another shape.
    usual = batches.whole_epoch // size
    steps = math.ceil(usual / math.ceil(usual / steps_per_call)) if usual else 1
    first = initial
    while first < whole:
        last = min(first + steps, whole)
        if batches.lengths_vary and last - first < steps:
            last = first + 1
        yield first, last - 1, order[first * size : last * size].reshape(last - first, size)
        first = last
    if rest := len(order) - whole * size:
        yield whole, whole, order[-rest:].reshape(1, rest)


def _takes_weights(stepper: Stepper) -> bool:
    for method in (stepper.train, stepper.test):
        try:
            signature(method).bind(None, None, None)
        except TypeError:
            return False
        except ValueError:  # a compiled function has no signature
            continue
    return True
