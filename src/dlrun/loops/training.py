"""The argument of every loop: what to train, on which data, and from which step."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:  # a loop does not import models, data or backends
    import keras

    from dlrun.backends import TrainingBackend
    from dlrun.data.batches import Batches

History = dict[str, list[float]]


@dataclass(frozen=True)
class Training:
    """Everything a loop needs for one run.

    A loop that can read from any feed also takes the keyword ``feed``: a function that makes a
    source for ``model.fit`` from batches, one of :mod:`dlrun.feeds`; None is the backend's default.

    Args:
        model: A compiled model.
        train: The training batches, reordered each epoch.
        validation: The batches to evaluate after each epoch; None for no validation.
        epochs: The total number of epochs.
        seed: Together with the epoch, determines all random numbers.
        callbacks: The callbacks in calling order, with every Keras hook.
        backend: The backend in use.
        initial_epoch: Epochs that a resumed run has completed.
        initial_step: Steps that a resumed run has completed in the next epoch.
        agree: Takes a number, and returns that of the first process of a run that has several. What
            a process decides by its own callbacks, it has to ask for: they are not the same in all.
    """

    model: keras.Model
    train: Batches
    validation: Batches | None
    epochs: int
    seed: int
    callbacks: Sequence[keras.callbacks.Callback]
    backend: TrainingBackend
    initial_epoch: int = 0
    initial_step: int = 0
    agree: Callable[[int], int] = int


FIELDS = tuple(field.name for field in fields(Training))


class Check(Protocol):
    """Refuses, before anything of a run is written, what a loop can't train."""

    def __call__(
        self, model: keras.Model, *, is_weighted: bool, options: Mapping[str, Any]
    ) -> None:
        """Check a run.

        Args:
            model: A compiled model.
            is_weighted: Whether the samples have weights.
            options: The loop's own keywords that were given.

        Raises:
            DlrunError: If the loop can't train it.
        """


def loop(
    *, check: Check | None = None
) -> Callable[[Callable[..., History]], Callable[..., History]]:
    """Let a dlrun loop also take the fields of a Training as separate arguments.

    A user's own loop may wrap a dlrun loop and pass its arguments on. What is decorated takes a
    :class:`Training`, and its own keywords.

    Args:
        check: Is called when the run is built, and when the loop begins.
    """

    def decorate(function: Callable[..., History]) -> Callable[..., History]:
        @functools.wraps(function)
        def call(*arguments: Any, **keywords: Any) -> History:
            training = _take_training(arguments, keywords)
            if check is not None:
                weighted = training.train.is_weighted
                check(training.model, is_weighted=weighted, options=keywords)
            return function(training, **keywords)

        call.check = check  # type: ignore[attr-defined]
        return call

    return decorate


def _take_training(arguments: Sequence[Any], keywords: dict[str, Any]) -> Training:
    if arguments and isinstance(arguments[0], Training):
        return arguments[0]
    if "training" in keywords:
        given: Training = keywords.pop("training")
        return given
    values = dict(zip(FIELDS, arguments, strict=False))
    values |= {name: keywords.pop(name) for name in FIELDS if name in keywords}
    return Training(**values)
