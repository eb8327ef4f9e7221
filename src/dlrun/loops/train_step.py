"""A custom train_step in Keras' loop."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from dlrun.loops.fit import fit
from dlrun.loops.step import Step
from dlrun.loops.training import History, Training, loop

if TYPE_CHECKING:  # a loop does not import data
    from dlrun.data.batches import Batches


@loop
def train_step(
    training: Training,
    *,
    feed: Callable[[Batches], Any] | None = None,
    step: Any = None,
    jit_compile: bool | str = "auto",
    steps_per_execution: int = 1,
) -> History:
    """Train with ``model.fit`` and a step in the backend's own terms.

    Source: Chollet, Kalinowski and Allaire, Deep Learning with R, chapter 7, custom train_step.

    Args:
        training: What to train, and how.
        feed: As for :func:`dlrun.loops.fit.fit`.
        step: A :class:`dlrun.loops.step.Step`, or an object with a ``train_step`` in Keras' own
            form for this backend.
        jit_compile: As in ``keras.Model.compile``.
        steps_per_execution: Batches per compiled call.

    Returns:
        The values that each epoch logged, by name.
    """
    step, model = step or Step(), training.model
    if hasattr(step, "train_step"):
        for name in ("train_step", "test_step"):
            if hasattr(step, name):
                setattr(model, name, partial(getattr(step, name), model))
    else:
        step.begin(model, training.seed)
        training.backend.bind(model, step)
    return fit(
        training, feed=feed, jit_compile=jit_compile, steps_per_execution=steps_per_execution
    )
