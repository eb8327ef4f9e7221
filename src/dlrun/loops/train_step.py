"""A train_step of one's own under Keras' loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import keras

from dlrun.loops.fit import fit
from dlrun.loops.step import Step

if TYPE_CHECKING:
    from dlrun.backends import BackendModule
    from dlrun.data.batches import Batches


def train_step(
    model: keras.Model,
    train: Batches,
    validation: Batches | None,
    *,
    epochs: int,
    seed: int,
    callbacks: Sequence[keras.callbacks.Callback],
    backend: BackendModule,
    initial_epoch: int = 0,
    initial_step: int = 0,
    feed: Callable[[Batches], Any] | None = None,
    step: Any = None,
    jit_compile: bool | str = "auto",
    steps_per_execution: int = 1,
) -> dict[str, list[float]]:
    """Train with ``model.fit``, the step written in the backend's own terms.

    Source: Chollet, Kalinowski and Allaire, Deep Learning with R, chapter 7, custom train_step.

    Args:
        model: Compiled.
        train: Batches, reordered each epoch.
        validation: Evaluated after each epoch; None to do without.
        epochs: How many there are in all.
        seed: With the epoch, decides all that is random in it.
        callbacks: In the order in which they are called.
        backend: The backend in use.
        initial_epoch: As for :func:`dlrun.loops.fit.fit`.
        initial_step: Likewise.
        feed: From batches to what ``model.fit`` takes, one of :mod:`dlrun.feeds`; None takes the
            backend's own.
        step: A :class:`dlrun.loops.step.Step`, or an object with a ``train_step`` in Keras' own
            form for this backend.
        jit_compile: As in ``keras.Model.compile``.
        steps_per_execution: Batches per compiled call.

    Returns:
        What each epoch logged, by name.
    """
    step = step or Step()
    if hasattr(step, "train_step"):
        for name in ("train_step", "test_step"):
            if hasattr(step, name):
                setattr(model, name, partial(getattr(step, name), model))
    else:
        step.begin(model, seed)
        backend.bind(model, step)
    return fit(
        model,
        train,
        validation,
        epochs=epochs,
        seed=seed,
        callbacks=callbacks,
        backend=backend,
        initial_epoch=initial_epoch,
        initial_step=initial_step,
        feed=feed,
        jit_compile=jit_compile,
        steps_per_execution=steps_per_execution,
    )
