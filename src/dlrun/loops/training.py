"""What a loop is given: one object that says what to train, on what, and from where."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # a loop meets its model, its data and its backend as objects
    import keras

    from dlrun.backends import TrainingBackend
    from dlrun.data.batches import Batches

History = dict[str, list[float]]


@dataclass(frozen=True)
class Training:
    """All that a loop needs for one run.

    A loop that can read from any feed also takes the keyword ``feed``, from batches to what
    ``model.fit`` takes, one of :mod:`dlrun.feeds`; None is the backend's own.

    Args:
        model: Compiled.
        train: Batches, reordered each epoch.
        validation: Evaluated after each epoch; None to do without.
        epochs: How many there are in all.
        seed: With the epoch, decides all that is random in it.
        callbacks: In the order in which they are called, with every hook that Keras has.
        backend: The backend in use.
        initial_epoch: How many epochs a resumed run has completed.
        initial_step: How many steps of the epoch after those it has completed.
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


FIELDS = tuple(field.name for field in fields(Training))


def loop(function: Callable[..., History]) -> Callable[..., History]:
    """Let a loop of ours also be called with the fields of a Training one by one.

    A loop of the user's own may wrap one of ours and pass on what it was given.

    Args:
        function: Takes a :class:`Training`, and keywords of its own.
    """

    @functools.wraps(function)
    def call(*arguments: Any, **keywords: Any) -> History:
        if "training" in keywords or (arguments and isinstance(arguments[0], Training)):
            return function(*arguments, **keywords)
        given = dict(zip(FIELDS, arguments, strict=False))
        given |= {name: keywords.pop(name) for name in FIELDS if name in keywords}
        return function(Training(**given), **keywords)

    return call
