"""Linear warm-up, then cosine decay."""

from typing import Any

import keras

from dlrun.errors import DlrunError
from dlrun.schedules import check_factor, in_steps, whole_length


def warmup_cosine(
    learning_rate: float,
    epochs: float,
    steps_per_epoch: float,
    *,
    warmup: float = 1,
    start_factor: float = 0.0,
    length: float | None = None,
    end_factor: float = 0.0,
    unit: str = "epochs",
) -> Any:
    """Raise the learning rate in a line, then lower it along half a cosine, then keep it.

    Args:
        learning_rate: The highest learning rate.
        epochs: The run's epochs; a fraction if it ends within one.
        steps_per_epoch: The optimizer's updates in an epoch.
        warmup: The length of the rise.
        start_factor: The first learning rate, as a share of the highest.
        length: The length of rise and decay; None is the whole run.
        end_factor: The last learning rate, as a share of the highest.
        unit: The unit of lengths: ``epochs`` or ``steps``.

    Raises:
        DlrunError: If the rise leaves no steps for the decay.
    """
    steps = whole_length(length, unit, epochs=epochs, steps_per_epoch=steps_per_epoch)
    rise = in_steps("warmup", warmup, unit, steps_per_epoch)
    if rise >= steps:
        raise DlrunError(
            f"schedule.warmup={warmup:g} {unit} are {rise:g} steps, but the schedule has {steps:g}",
            hint="give it fewer, or train for more epochs",
        )
    return keras.optimizers.schedules.CosineDecay(
        learning_rate * check_factor("start_factor", start_factor) if rise else learning_rate,
        steps - rise,
        alpha=check_factor("end_factor", end_factor),
        warmup_target=learning_rate if rise else None,
        warmup_steps=rise,
    )
