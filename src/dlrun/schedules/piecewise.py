"""A learning rate for each part of a run."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import keras

from dlrun.errors import DlrunError
from dlrun.schedules import check_factor, in_steps


def piecewise(
    learning_rate: float,
    epochs: float,
    steps_per_epoch: float,
    *,
    boundaries: Sequence[float] = (5, 8),
    factors: Sequence[float] = (1.0, 0.1, 0.01),
    unit: str = "epochs",
) -> Any:
    """Change the learning rate at given times.

    Args:
        learning_rate: What the factors multiply.
        epochs: Not used: the learning rate does not depend on the run's length.
        steps_per_epoch: The optimizer's updates in an epoch.
        boundaries: The times, ascending: ``[5, 8]`` changes it after 5 and after 8 epochs.
        factors: One for each part: one more than boundaries.
        unit: The unit of boundaries: ``epochs`` or ``steps``.

    Raises:
        DlrunError: If the boundaries do not ascend, or factors are missing.
    """
    ends = [in_steps("boundaries", end, unit, steps_per_epoch) for end in boundaries]
    if not ends or any(later <= end for end, later in pairwise([0.0, *ends])):
        raise DlrunError(f"schedule.boundaries must ascend from above 0, got {boundaries!r:.80}")
    if len(factors) != len(ends) + 1:
        raise DlrunError(
            f"schedule.factors must be {len(ends) + 1}, one more than boundaries;"
            f" got {len(factors)}"
        )
    # Keras' boundary is the last step before a change, counted from 0.
    return keras.optimizers.schedules.PiecewiseConstantDecay(
        [math.ceil(end) - 1 for end in ends],
        [learning_rate * check_factor("factors", factor) for factor in factors],
    )
