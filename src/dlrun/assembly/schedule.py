"""Give an optimizer the config's schedule.

Import it after the backend has started.
"""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from dlrun.config.instantiate import instantiate
from dlrun.config.schema import Config
from dlrun.errors import DlrunError


def set_schedule(
    optimizer: keras.optimizers.Optimizer, config: Config, steps_per_epoch: int
) -> None:
    """Let the learning rate follow the config's schedule, if it has one.

    Args:
        optimizer: Not built yet; its learning rate is the one that the schedule starts from.
        config: The run's config.
        steps_per_epoch: The batches of a training epoch.

    Raises:
        DlrunError: If the schedule can't be made, or the optimizer has no learning rate.
    """
    if config.schedule.get("_target_") is None:
        return
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    if not getattr(inner, "takes_learning_rate", True):
        raise DlrunError(
            f"optimizer: {config.optimizer['_target_']} has no learning_rate to schedule",
            hint="schedule=constant",
        )
    rate = float(keras.ops.convert_to_numpy(inner.learning_rate))
    inner.learning_rate = _schedule(config, rate, _updates(inner, steps_per_epoch), config.epochs)


def check_same_schedule(
    optimizer: keras.optimizers.Optimizer, config: Config, steps_per_epoch: int, epochs: int
) -> None:
    """Check that another number of epochs does not change the learning rates of a resumed run.

    Args:
        optimizer: With the schedule set.
        config: The resumed run's config.
        steps_per_epoch: The batches of a training epoch.
        epochs: The number of epochs before.

    Raises:
        DlrunError: If it does, as it would jump.
    """
    if config.schedule.get("_target_") is None or epochs == config.epochs:
        return
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    updates = _updates(inner, steps_per_epoch)
    steps = np.linspace(0, epochs * updates, 101).astype("int32")
    before, now = (
        [float(keras.ops.convert_to_numpy(schedule(step))) for step in steps]
        for schedule in (_schedule(config, 1.0, updates, n) for n in (epochs, config.epochs))
    )
    if before != now:
        raise DlrunError(
            f"epochs={config.epochs}: schedule={config.choices.get('schedule')} is made for the"
            f" {epochs} epochs of this run, so the learning rate would jump",
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
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    for name, callback in callbacks.items():
        if isinstance(callback, setting) and optimizer.has_schedule():
            raise DlrunError(
                f"callbacks.{name} sets the learning rate, and so does a schedule: choose one",
                hint=f"~callbacks.{name}, or schedule=constant",
            )


def _schedule(config: Config, rate: float, updates: float, epochs: int) -> Any:
    given: dict[str, Any] = {"learning_rate": rate, "epochs": epochs, "steps_per_epoch": updates}
    schedule = instantiate("schedule", config.schedule, **given)
    if not isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
        raise DlrunError(
            f"schedule: {config.schedule['_target_']} returned {type(schedule).__name__},"
            " expected a keras.optimizers.schedules.LearningRateSchedule"
        )
    return schedule


def _updates(optimizer: keras.optimizers.Optimizer, steps_per_epoch: int) -> float:
    """The updates in an epoch."""
    return steps_per_epoch / (optimizer.gradient_accumulation_steps or 1)
