"""A custom train_step in Keras' loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from dlrun.errors import DlrunError
from dlrun.loops.fit import fit
from dlrun.loops.step import Step
from dlrun.loops.training import History, Training, checked

if TYPE_CHECKING:  # a loop does not import data
    import keras

    from dlrun.data.batches import Batches


def _check(model: keras.Model, *, is_weighted: bool, options: Mapping[str, Any]) -> None:
    """Refuse samples with weights, if the step does not take them."""
    step = options.get("step") or Step()
    if not is_weighted:
        return
    if not hasattr(step, "train_step"):
        step.require_weights()
    elif not getattr(step, "takes_sample_weight", False):
        raise DlrunError(
            f"loop.step: {type(step).__name__}.train_step may leave out the weights of the samples",
            hint="use the third part of its data, and set takes_sample_weight = True on the class",
        )


@checked(_check)
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
            form for this backend. That one must have ``takes_sample_weight = True`` to train on
            samples with weights, which are the third part of its ``data``.
        jit_compile: As in ``keras.Model.compile``.
        steps_per_execution: Batches per compiled call.

    Returns:
        The values that each epoch logged, by name.

    Raises:
        DlrunError: If the samples have weights, and the step does not take them.
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
