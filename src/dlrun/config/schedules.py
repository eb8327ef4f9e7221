"""Who sets the learning rate: the optimizer, one schedule, or a callback."""

from collections.abc import Mapping
from typing import Any

from dlrun.config.problem import Problem, Problems
from dlrun.config.schema import Config
from dlrun.errors import DlrunError

# Keras' callbacks that assign a learning rate, which a schedule does not allow.
SETTING_CALLBACKS = ("keras.callbacks.LearningRateScheduler", "keras.callbacks.ReduceLROnPlateau")


def schedule_of(schedule: Any, optimizer: Any) -> str | None:
    """The key of the schedule that a config has; None without one.

    Args:
        schedule: The config's ``schedule``.
        optimizer: The config's ``optimizer``.
    """
    if isinstance(schedule, Mapping) and schedule.get("_target_"):
        return "schedule"
    rate = optimizer.get("learning_rate") if isinstance(optimizer, Mapping) else None
    return "optimizer.learning_rate" if isinstance(rate, Mapping) else None


def competing_schedules(config: Config) -> Problems:
    """Yield what else would set the learning rate, beside a schedule."""
    key = schedule_of(config.schedule, config.optimizer)
    if key is None:
        return
    rate = config.optimizer.get("learning_rate")
    if key == "schedule" and isinstance(rate, Mapping):
        message = "needs a number as optimizer.learning_rate, which is a schedule of its own"
        yield Problem("schedule", message)
    name = f"schedule={config.choices.get('schedule')}" if key == "schedule" else key
    for callback, spec in config.callbacks.items():
        if isinstance(spec, Mapping) and spec.get("_target_") in SETTING_CALLBACKS:
            message = f"sets the learning rate, and so does {name}: choose one"
            yield Problem(f"callbacks.{callback}", message)


def check_resumed_rate(recorded: Mapping[str, Any], config: Config) -> None:
    """Check that a resumed run may have its learning rate: only a number may replace a number.

    Args:
        recorded: The run's resolved config.
        config: The config to resume with.

    Raises:
        DlrunError: If it may not.
    """
    before = recorded["optimizer"].get("learning_rate")
    rate = config.optimizer.get("learning_rate")
    if rate == before:
        return
    if key := schedule_of(recorded.get("schedule"), recorded["optimizer"]):
        choice = recorded.get("choices", {}).get("schedule")
        name = f"schedule={choice}" if key == "schedule" else "a schedule"
        raise DlrunError(
            f"optimizer.learning_rate can't change here: the run follows {name}",
            hint="train a new run with init_from=RUN",
        )
    if isinstance(rate, bool) or not isinstance(rate, int | float):
        raise DlrunError(
            f"optimizer.learning_rate must stay a number here, got {rate!r:.80}",
            hint="to follow a schedule, train a new run with init_from=RUN",
        )
