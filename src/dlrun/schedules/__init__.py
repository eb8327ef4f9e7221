"""Schedules: the learning rate as a function of the optimizer's updates.

Each module has a function of the same name that makes a Keras ``LearningRateSchedule``. dlrun
passes ``learning_rate``, the optimizer's own; ``epochs``, those of the run; and
``steps_per_epoch``, the optimizer's updates in an epoch. With gradient accumulation an update takes
several batches, so that ``steps_per_epoch`` may be a fraction.
"""

from dlrun.errors import DlrunError

UNITS = ("epochs", "steps")


def in_steps(key: str, length: float, unit: str, steps_per_epoch: float) -> float:
    """A length in steps of the optimizer.

    Args:
        key: The argument that has the length, for errors.
        length: At least 0.
        unit: ``epochs`` or ``steps``.
        steps_per_epoch: The optimizer's updates in an epoch.

    Raises:
        DlrunError: If it is not a length, or the unit is another.
    """
    if unit not in UNITS:
        raise DlrunError(f"schedule.unit must be {' or '.join(UNITS)}, got {unit!r:.80}")
    if isinstance(length, bool) or not isinstance(length, int | float) or not length >= 0:
        raise DlrunError(f"schedule.{key} must be a number of {unit}, got {length!r:.80}")
    return length * steps_per_epoch if unit == "epochs" else float(length)


def whole_length(
    length: float | None, unit: str, *, epochs: float, steps_per_epoch: float
) -> float:
    """The length of a schedule in steps of the optimizer; None is the whole run.

    Raises:
        DlrunError: If it is not above 0.
    """
    if length is None:
        in_steps("length", 0, unit, steps_per_epoch)  # checks the unit
        # A run that ends within an epoch has a whole number of steps all the same.
        return round(epochs * steps_per_epoch, 6)
    steps = in_steps("length", length, unit, steps_per_epoch)
    if not steps:
        raise DlrunError("schedule.length must be above 0", hint="schedule.length=null: the run")
    return steps


def check_factor(key: str, value: float) -> float:
    """A factor of the learning rate.

    Raises:
        DlrunError: If it is not a number from 0.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise DlrunError(f"schedule.{key} must be a number from 0, got {value!r:.80}")
    return float(value)
