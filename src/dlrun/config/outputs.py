"""The loss, metrics and activation of a model's outputs: of one, or several by name or as a list.

A mapping without ``_target_`` has the outputs' names as keys. A list has the order of
``task.outputs``; everywhere else, logs included, it behaves like the mapping.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dlrun.config.problem import Problem, Problems

if TYPE_CHECKING:
    from dlrun.config.schema import Task

KEYS = ("loss", "metrics", "activation")


@dataclass
class Output:
    """The loss, metrics by name, and activation of one output, each as in the config."""

    loss: Any = None
    metrics: dict[str, Any] = field(default_factory=dict)
    activation: str | None = None


def outputs_by_name(task: Task) -> dict[str, Output] | None:
    """The outputs of a task by name; None for a task of one output.

    The task must pass :func:`wrong_outputs`.
    """
    by_key = {key: _values_by_name(task, key) for key in KEYS if _has_several(task, key)}
    if not by_key:
        return None
    names = dict.fromkeys(name for values in by_key.values() for name in values)
    return {
        name: Output(**{key: values[name] for key, values in by_key.items() if values.get(name)})
        for name in names
    }


def logged_metrics(task: Task) -> dict[str, Any]:
    """The config of each value that an epoch logs, by Keras' name for it; None for a loss.

    With several outputs, these are the sum of the losses, and each output's loss and metrics,
    prefixed with the output's name: ``department_accuracy``.
    """
    outputs = outputs_by_name(task)
    if outputs is None:
        return {"loss": None, **(task.metrics or {})}
    losses = [f"{name}_loss" for name, output in outputs.items() if output.loss is not None]
    # Keras does not log the only loss twice, alone and as the sum.
    names: dict[str, Any] = dict.fromkeys(["loss", *(losses if len(losses) > 1 else [])])
    for output_name, output in outputs.items():
        names |= {f"{output_name}_{name}": spec for name, spec in output.metrics.items()}
    return names


def wrong_outputs(task: Task) -> Problems:
    """Yield each key of a task that does not match the others."""
    for key in KEYS:
        value = getattr(task, key)
        if not isinstance(value, list):
            continue
        if not task.outputs:
            yield Problem(f"task.{key}", "a list needs task.outputs, the outputs' names in order")
            return
        if len(value) != len(task.outputs):
            expected = f"expected {len(task.outputs)}, one for each of task.outputs"
            yield Problem(f"task.{key}", f"{expected}, got {len(value)}")
            return
    several = [key for key in KEYS if _has_several(task, key)]
    for key in KEYS:
        if several and key not in several and (key == "loss" or getattr(task, key)):
            message = f"is for one output, but task.{several[0]} is for several"
            yield Problem(f"task.{key}", message)
    if "loss" not in several:
        return
    names = tuple(_values_by_name(task, "loss"))
    for key in several:
        for name, value in _values_by_name(task, key).items():
            if name not in names:
                message = f"no output '{name}' in task.loss; there are {', '.join(names)}"
                yield Problem(f"task.{key}.{name}", message, names)
            elif key == "metrics" and not isinstance(value, dict | None):
                yield Problem(f"task.metrics.{name}", f"expected metrics by name, got {value!r}")


def _has_several(task: Task, key: str) -> bool:
    """Whether a key of a task has a value for each output."""
    value = getattr(task, key)
    if key != "metrics" or not isinstance(value, dict):
        return isinstance(value, list) or (isinstance(value, dict) and "_target_" not in value)
    # A metric is Keras' name for it, or a mapping with a target.
    return any(isinstance(spec, dict) and "_target_" not in spec for spec in value.values())


def _values_by_name(task: Task, key: str) -> dict[str, Any]:
    value = getattr(task, key)
    if isinstance(value, list):
        return dict(zip(task.outputs or (), value, strict=False))
    return dict(value)
