"""Exponential decay."""

from typing import Any

import keras

from dlrun.errors import DlrunError
from dlrun.schedules import check_factor, in_steps


def exponential(
    learning_rate: float,
    epochs: float,
    steps_per_epoch: float,
    *,
    decay_rate: float = 0.9,
    period: float = 1,
    staircase: bool = False,
    unit: str = "epochs",
) -> Any:
    """Multiply the learning rate by a factor in each period.

    Args:
        learning_rate: The first learning rate.
        epochs: Not used: the learning rate does not depend on the run's length.
        steps_per_epoch: The optimizer's updates in an epoch.
        decay_rate: The factor.
        period: The length in which the learning rate falls by that factor.
        staircase: Whether it falls at the end of each period, instead of in each step.
        unit: The unit of lengths: ``epochs`` or ``steps``.

    Raises:
        DlrunError: If the period is 0.
    """
    steps = in_steps("period", period, unit, steps_per_epoch)
    if not steps:
        raise DlrunError("schedule.period must be above 0")
    rate = check_factor("decay_rate", decay_rate)
    return keras.optimizers.schedules.ExponentialDecay(learning_rate, steps, rate, staircase)
