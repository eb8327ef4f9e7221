"""What a process that runs one run after another keeps of a run for the next, and what it forgets.

The framework stays imported and the data set in memory; and what was compiled for one run computes
the next one as well where they differ in values alone, as by seed or learning rate.
"""

from __future__ import annotations

import gc
import json
import math
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from dlrun import backends
from dlrun.loops import LOOPS
from dlrun.system import process
from dlrun.system.imports import without_packages

if TYPE_CHECKING:
    from dlrun.config.schema import Config
    from dlrun.data.dataset import Dataset

# Two of a larger model should not be in memory at once, and it trains for longer than it compiles.
MOST_VALUES = 64e6
# These keep what they compile on the model, and read nothing else that a run brings.
TARGETS = tuple(f"dlrun.loops.{name}.{name}" for name in LOOPS)
STEP = "dlrun.loops.step.Step"


class _Kept(NamedTuple):
    model: Any
    program: str


class ProcessCache:
    """What the runs of one process hand on to each other."""

    def __init__(self) -> None:
        self._data: tuple[str, Any] | None = None
        self._kept: _Kept | None = None

    def data(self, same: str, read: Callable[[], Any]) -> Any:
        """A data set, read if the run before had another one.

        Args:
            same: What tells it from others.
            read: How to read it.
        """
        if self._data is None or self._data[0] != same:
            self._data = None  # two need not be in memory at once
            self._data = same, read()
        return self._data[1]

    def renewed(self, model: Any, config: Config, data: Dataset) -> Any:
        """The model of the run before with the values of this one, if it computes the same.

        Args:
            model: Built and compiled for this run.
            config: Of this run.
            data: Of this run.

        Returns:
            That model with all that was compiled for it, else the one of this run.
        """
        before, self._kept = self._kept, None  # a run that fails leaves no model behind
        if before is None or before.program != program_key(model, config, data):
            return model
        for had, has in zip(_variables(before.model), _variables(model), strict=True):
            had.assign(has.value)
        return before.model

    def keep(self, model: Any, config: Config, data: Dataset) -> None:
        """Keep a model that has been trained, if its values are all that a run leaves in it."""
        told = program_key(model, config, data)
        self._kept = _Kept(model, told) if told else None

    def forget(self) -> None:
        """Give back the memory of a run that has been, but for what is kept."""
        backends.forget()
        gc.collect()
        process.give_back_memory()


def program_key(model: Any, config: Config, data: Dataset) -> str | None:
    """What a model's compiled functions compute from its variables; None where that is not known.

    It is known where all that computes, the optimizer too, is Keras' own, and the loop and the
    callbacks are dlrun's or Keras': what is anybody else's may keep values where we do not see
    them. Seeds and learning rates are variables, and no part of it.

    Args:
        model: Compiled.
        config: Of its run.
        data: Of its run.
    """
    from dlrun.checkpoints import architecture

    task = (config.task.loss, config.task.metrics, config.task.outputs)
    named = _targets([*task, config.callbacks, config.loop])
    if not (
        backends.training_module(config.backend.name).TRACES
        and config.loop["_target_"] in TARGETS
        and config.loop.get("stepper") is None
        and (config.loop.get("step") or {}).get("_target_", STEP) == STEP
        and all(target.startswith(("keras.", "dlrun.")) for target in named)
        and all(map(_is_of_keras, [model, *architecture.parts(model), model.optimizer]))
        and sum(math.prod(v.shape) for v in _variables(model)) <= MOST_VALUES
    ):
        return None
    try:
        with without_packages(
            ["tensorflow"]
        ):  # which Keras imports, in seconds, to write a dtype down
            layers, optimizer = model.get_config(), model.optimizer.get_config()
    except (NotImplementedError, TypeError, ValueError):  # of what a layer was given
        return None
    if isinstance(optimizer.get("learning_rate"), float):
        del optimizer["learning_rate"]
    of_data = (data.input_shape, data.num_classes, data.scale)
    shapes = [tuple(variable.shape) for variable in _variables(model)]
    told = [layers, type(model.optimizer).__name__, optimizer, *task, *of_data]
    return json.dumps([*told, config.loop, config.precision, shapes], default=repr)


def _is_of_keras(part: Any) -> bool:
    """Whether all that a part computes with is Keras', functions that it was given included."""
    given = [value for value in vars(part).values() if callable(value)]
    return (
        type(part).__module__.startswith("keras.")
        and all(str(one.__module__).startswith(("keras.", "dlrun.")) for one in given)
        and not hasattr(part, "adapt")  # what it was adapted to is a constant to what is compiled
    )


def _variables(model: Any) -> list[Any]:
    return [*model.variables, *model.optimizer.variables]


def _targets(config: Any) -> Iterator[str]:
    if isinstance(config, Mapping):
        if "_target_" in config:
            yield str(config["_target_"])
        config = list(config.values())
    if isinstance(config, list):
        for part in config:
            yield from _targets(part)
