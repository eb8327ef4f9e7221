"""The argument of every loop: what to train, on which data, and from which step."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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


def checked(check: Check) -> Callable[[Callable[..., History]], Callable[..., History]]:
    """Let a loop have a check, which is called when the run is built, and when the loop begins."""

    def decorate(loop: Callable[..., History]) -> Callable[..., History]:
        @functools.wraps(loop)
        def call(training: Training, **options: Any) -> History:
            check(training.model, is_weighted=training.train.is_weighted, options=options)
            return loop(training, **options)

        call.check = check  # type: ignore[attr-defined]
        return call

    return decorate
