"""A config whose learning rate rises in each update, in place of its own schedule."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping

from dlrun import backends
from dlrun.config.approvals import approve_shipped
from dlrun.config.schema import Config
from dlrun.errors import DlrunError

log = logging.getLogger("dlrun")

RISE = "dlrun.schedules.exponential.exponential"
LINEAR = "dlrun.loops.linear."


def rate_key(config: Config) -> str:
    """The key of the learning rate, as an override names it."""
    spec, name = config.optimizer, config.choices.get("optimizer")
    key = "lr" if "lr" in spec and "learning_rate" not in spec else "learning_rate"
    if key not in spec and not str(spec["_target_"]).startswith("keras."):
        raise DlrunError(
            f"optimizer={name}: {spec['_target_']} has no learning rate to tune",
            hint="choose another optimizer; dlrun list optimizer",
        )
    if isinstance(spec.get(key), Mapping):
        raise DlrunError(
            f"optimizer.{key} is a schedule of its own, which a tuned rate can't replace",
            hint=f"optimizer.{key}=0.001, and a schedule as schedule=NAME",
        )
    return f"optimizer.{key}"


def check_loop(config: Config) -> None:
    """Refuse a loop that follows no schedule, and several processes, each with its own end."""
    if str((config.loop.get("stepper") or {}).get("_target_")).startswith(LINEAR):
        raise DlrunError(
            f"loop={config.choices.get('loop')} keeps one learning rate: it can't rise",
            hint="loop=fit, loop=train_step or loop=raw",
        )
    if config.distribution.kind == "none" or config.device.count < 2:
        return
    if backends.distribution_of(config.backend.name).PROCESSES:
        raise DlrunError(
            f"distribution={config.distribution.kind}: a range test on backend"
            f" '{config.backend.name}' runs in one process; one device gives the same curve",
            hint="leave out distribution and device.count",
        )


def rising_config(
    config: Config, key: str, *, minimum: float, maximum: float, steps: int
) -> Config:
    """The config with a schedule that rises from the first rate to the last one."""
    if (replaced := config.choices.get("schedule")) not in (None, "constant"):
        log.info("note   schedule=%s is not used: the learning rate rises", replaced)
    approve_shipped("schedule", RISE)
    loop = dict(config.loop)
    if "steps_per_execution" in loop:
        loop["steps_per_execution"] = 1  # each step tells its loss
    return dataclasses.replace(
        config,
        optimizer={**config.optimizer, key.partition(".")[2]: minimum},
        schedule={
            "_target_": RISE,
            "decay_rate": maximum / minimum,
            "period": steps - 1,
            "unit": "steps",
        },
        loop=loop,
        # The test takes whole epochs, as many as it needs.
        epochs=config.planned_epochs,
        max_steps=None,
        validate_every=None,
        callbacks={},
        profile={},
        export={},
        tracker={},
    )
