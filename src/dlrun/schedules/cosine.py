"""Cosine decay."""

from typing import Any

import keras

from dlrun.schedules import check_factor, whole_length


def cosine(
    learning_rate: float,
    epochs: float,
    steps_per_epoch: float,
    *,
    length: float | None = None,
    end_factor: float = 0.0,
    unit: str = "epochs",
) -> Any:
    """Lower the learning rate along half a cosine, then keep it.

    Args:
        learning_rate: The first learning rate.
        epochs: The run's epochs; a fraction if it ends within one.
        steps_per_epoch: The optimizer's updates in an epoch.
        length: The decay's length; None is the whole run.
        end_factor: The last learning rate, as a share of the first.
        unit: The unit of lengths: ``epochs`` or ``steps``.
    """
    steps = whole_length(length, unit, epochs=epochs, steps_per_epoch=steps_per_epoch)
    return keras.optimizers.schedules.CosineDecay(
        learning_rate, steps, alpha=check_factor("end_factor", end_factor)
    )
