"""One cycle: a rise, then a long fall."""

import math
from typing import Any

import keras

from dlrun.errors import DlrunError
from dlrun.schedules import check_factor, whole_length


def one_cycle(
    learning_rate: float,
    epochs: float,
    steps_per_epoch: float,
    *,
    rise: float = 0.3,
    start_factor: float = 0.04,
    length: float | None = None,
    end_factor: float = 4e-6,
    unit: str = "epochs",
) -> Any:
    """Raise the learning rate along half a cosine, then lower it along another.

    Source: Smith and Topin, Super-Convergence (2018), with torch's default factors.

    Args:
        learning_rate: The highest learning rate.
        epochs: The run's epochs; a fraction if it ends within one.
        steps_per_epoch: The optimizer's updates in an epoch.
        rise: The share of the length in which it rises, above 0 and below 1.
        start_factor: The first learning rate, as a share of the highest.
        length: The cycle's length; None is the whole run.
        end_factor: The last learning rate, as a share of the highest.
        unit: The unit of length: ``epochs`` or ``steps``.

    Raises:
        DlrunError: If the rise or the fall has no step.
    """
    steps = math.floor(whole_length(length, unit, epochs=epochs, steps_per_epoch=steps_per_epoch))
    top = check_factor("rise", rise) * steps - 1
    if not 0 < top < steps - 1:
        raise DlrunError(
            f"schedule.rise={rise} of {steps} steps leaves none for the rise or the fall",
            hint="schedule.rise=0.3, or train for more steps",
        )
    return OneCycle(
        learning_rate,
        top,
        steps - 1,
        check_factor("start_factor", start_factor),
        check_factor("end_factor", end_factor),
    )


class OneCycle(keras.optimizers.schedules.LearningRateSchedule):
    """The learning rate of a cycle; after it, the last one.

    Args:
        learning_rate: The highest learning rate.
        top: The step that has it, from 0.
        last: The last step of the cycle.
        start_factor: The first learning rate, as a share of the highest.
        end_factor: The last learning rate, as a share of the highest.
    """

    def __init__(
        self, learning_rate: float, top: float, last: float, start_factor: float, end_factor: float
    ) -> None:
        super().__init__()
        self._config = {
            "learning_rate": learning_rate,
            "top": top,
            "last": last,
            "start_factor": start_factor,
            "end_factor": end_factor,
        }

    def __call__(self, step: Any) -> Any:
        """The learning rate of a step, ``()``."""
        ops, (rate, top, last, start, end) = keras.ops, self._config.values()
        step = ops.minimum(ops.cast(step, "float32"), last)
        rises = step <= top
        share = ops.where(rises, step / top, (step - top) / (last - top))
        low = ops.where(rises, rate * start, rate * end)
        # 1 at the top, from either side.
        height = 0.5 * (1 + ops.cos(math.pi * ops.where(rises, 1 - share, share)))
        return low + (rate - low) * height

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return dict(self._config)
