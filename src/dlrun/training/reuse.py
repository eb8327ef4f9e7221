"""The state that a process with several runs keeps from one run to the next.

The framework stays imported and the data set in memory. Compiled code is reused if two runs differ
only in values, such as seed or learning rate.
"""

from __future__ import annotations

import gc
import json
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from dlrun import backends
from dlrun.config.instantiate import targets
from dlrun.data.tree import tree_map
from dlrun.loops import LOOPS
from dlrun.system import process
from dlrun.system.imports import without_packages

if TYPE_CHECKING:
    from dlrun.config.schema import Config
    from dlrun.data.dataset import Dataset

# A larger model should not be in memory twice, and trains longer than it compiles.
MAX_VALUES = 64e6
# These keep their compiled code on the model, and depend on no other state of a run.
TARGETS = tuple(f"dlrun.loops.{name}.{name}" for name in LOOPS)
STEP = "dlrun.loops.step.Step"


class _CachedModel(NamedTuple):
    model: Any
    program: str


class ProcessCache:
    """The data set and the model that runs of one process share."""

    def __init__(self) -> None:
        self._data: tuple[str, Any] | None = None
        self._model: _CachedModel | None = None

    def data(self, key: str, read: Callable[[], Any]) -> Any:
        """The data set, read again only if the previous run had another one.

        Args:
            key: Identifies the data set.
            read: Reads it.
        """
        if self._data is None or self._data[0] != key:
            self._data = None  # not two in memory at once
            self._data = key, read()
        return self._data[1]

    def reuse(self, model: Any, config: Config, data: Dataset) -> Any:
        """The previous run's model with the values of this one, if both compute the same.

        Args:
            model: Built and compiled for this run.
            config: This run's config.
            data: This run's data set.

        Returns:
            The previous model with its compiled code, else ``model``.
        """
        cached, self._model = self._model, None  # a failed run leaves no model
        if cached is None or cached.program != program_key(model, config, data):
            return model
        for old, new in zip(_variables(cached.model), _variables(model), strict=True):
            old.assign(new.value)
        return cached.model

    def keep(self, model: Any, config: Config, data: Dataset) -> None:
        """Keep a trained model, if its values are the only state that a run leaves in it."""
        program = program_key(model, config, data)
        self._model = _CachedModel(model, program) if program else None

    def forget(self) -> None:
        """Release the memory of the previous run, except for what the cache keeps."""
        backends.forget()
        gc.collect()
        process.give_back_memory()


def program_key(model: Any, config: Config, data: Dataset) -> str | None:
    """A key of what a model's compiled functions compute from its variables; None if unknown.

    It is known if the layers and the optimizer are Keras', and the loop and the callbacks are
    dlrun's or Keras'. Other code may keep values where dlrun does not see them. Seeds and learning
    rates are variables, and not part of the key.

    Args:
        model: The compiled model.
        config: Its run's config.
        data: Its run's data set.
    """
    from dlrun.checkpoints import architecture

    task = (config.task.loss, config.task.metrics, config.task.outputs, config.task.loss_weights)
    components = targets([*task, config.callbacks, config.loop, config.augmentation])
    if not (
        backends.training_module(config.backend.name).TRACES
        and config.loop["_target_"] in TARGETS
        and config.loop.get("stepper") is None
        and (config.loop.get("step") or {}).get("_target_", STEP) == STEP
        and all(target.startswith(("keras.", "dlrun.")) for target in components)
        and all(map(_is_of_keras, [model, *architecture.parts(model), model.optimizer]))
        and sum(math.prod(v.shape) for v in _variables(model)) <= MAX_VALUES
    ):
        return None
    try:
        # Keras would import TensorFlow, which takes seconds, to serialise a dtype.
        with without_packages(["tensorflow"]):
            layers, optimizer = model.get_config(), model.optimizer.get_config()
    except (NotImplementedError, TypeError, ValueError):  # from a layer's arguments
        return None
    if isinstance(optimizer.get("learning_rate"), float):
        del optimizer["learning_rate"]
    weights = data.train.weights
    of_data = (
        *(data.input_shape, data.num_classes, data.scale, sorted(map(str, data.integers))),
        weights if weights is None else tree_map(lambda array: array.shape[1:], weights),
        repr(data.targets),  # metrics are in their units
    )
    shapes = [tuple(variable.shape) for variable in _variables(model)]
    excluded = config.optimizer.get("exclude_from_weight_decay")
    program = [layers, type(model.optimizer).__name__, optimizer, excluded, *task, *of_data]
    precision = (config.precision, config.matmul_precision)
    changed = (config.loop, config.augmentation, precision, config.spread)
    return json.dumps([*program, *changed, shapes], default=repr)


def _is_of_keras(layer: Any) -> bool:
    """Whether a layer, model or optimizer and the functions that it was given are Keras'."""
    functions = [value for value in vars(layer).values() if callable(value)]
    return (
        type(layer).__module__.startswith("keras.")
        and all(str(f.__module__).startswith(("keras.", "dlrun.")) for f in functions)
        and not hasattr(layer, "adapt")  # its adapted state is a constant in compiled code
    )


def _variables(model: Any) -> list[Any]:
    return [*model.variables, *model.optimizer.variables]
