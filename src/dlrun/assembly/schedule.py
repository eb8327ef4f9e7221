"""Give an optimizer the config's schedule.

Import it after the backend has started.
"""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from dlrun.config.instantiate import instantiate
from dlrun.config.schema import Config
from dlrun.data.length import Length
from dlrun.errors import DlrunError
from dlrun.losses.loss_scale import inner_optimizer


def set_schedule(optimizer: keras.optimizers.Optimizer, config: Config, length: Length) -> None:
    """Let the learning rate follow the config's schedule, if it has one.

    Args:
        optimizer: Not built yet; its learning rate is the one that the schedule starts from.
        config: The run's config.
        length: The run's.

    Raises:
        DlrunError: If the schedule can't be made, or the optimizer has no learning rate.
    """
    if config.schedule.get("_target_") is None:
        return
    inner = inner_optimizer(optimizer)
    if not getattr(inner, "takes_learning_rate", True):
        raise DlrunError(
            f"optimizer: {config.optimizer['_target_']} has no learning_rate to schedule",
            hint="schedule=constant",
        )
    rate = float(keras.ops.convert_to_numpy(inner.learning_rate))
    inner.learning_rate = _schedule(config, rate, inner, length)


def check_same_schedule(
    optimizer: keras.optimizers.Optimizer, config: Config, length: Length, before: Length
) -> None:
    """Check that another length does not change the learning rates of a resumed run.

    Args:
        optimizer: With the schedule set.
        config: The resumed run's config.
        length: The resumed run's.
        before: Its length before.

    Raises:
        DlrunError: If it does, as it would jump.
    """
    if config.schedule.get("_target_") is None or before == length:
        return
    inner = inner_optimizer(optimizer)
    steps = np.linspace(0, before.steps / _steps_of_update(inner), 101).astype("int32")
    rates_before, rates_now = (
        [float(keras.ops.convert_to_numpy(schedule(step))) for step in steps]
        for schedule in (_schedule(config, 1.0, inner, each) for each in (before, length))
    )
    if rates_before != rates_now:
        key = "max_steps" if config.epochs is None else "epochs"
        made = f"{before.epochs} epochs" if before.is_usual else f"{before.steps:,} steps"
        raise DlrunError(
            f"{key}={getattr(config, key)}: schedule={config.choices.get('schedule')} is made for"
            f" the {made} of this run, so the learning rate would jump",
            hint="train a new run with init_from=RUN; a schedule of a fixed schedule.length allows"
            " other epochs",
        )


def check_callbacks(
    optimizer: keras.optimizers.Optimizer, callbacks: Mapping[str, keras.callbacks.Callback]
) -> None:
    """Check that no callback sets the learning rate of a schedule.

    Those that the config names by Keras' name are refused earlier; these derive from them.

    Args:
        optimizer: Of the compiled model.
        callbacks: The config's callbacks by name.

    Raises:
        DlrunError: If one does.
    """
    setting = (keras.callbacks.LearningRateScheduler, keras.callbacks.ReduceLROnPlateau)
    optimizer = inner_optimizer(optimizer)
    for name, callback in callbacks.items():
        if isinstance(callback, setting) and optimizer.has_schedule():
            raise DlrunError(
                f"callbacks.{name} sets the learning rate, and so does a schedule: choose one",
                hint=f"~callbacks.{name}, or schedule=constant",
            )


def _schedule(
    config: Config, rate: float, optimizer: keras.optimizers.Optimizer, length: Length
) -> Any:
    given: dict[str, Any] = {
        "learning_rate": rate,
        "epochs": length.epochs if length.is_usual else length.steps / length.given_steps,
        "steps_per_epoch": length.given_steps / _steps_of_update(optimizer),
    }
    schedule = instantiate("schedule", config.schedule, **given)
    if not isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
        raise DlrunError(
            f"schedule: {config.schedule['_target_']} returned {type(schedule).__name__},"
            " expected a keras.optimizers.schedules.LearningRateSchedule"
        )
    return schedule


def _steps_of_update(optimizer: keras.optimizers.Optimizer) -> int:
    """The steps of an update."""
    return int(optimizer.gradient_accumulation_steps or 1)
