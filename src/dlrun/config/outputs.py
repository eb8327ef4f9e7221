"""What a task says of a model's outputs: of the only one, of several by name, or in a list.

A mapping without ``_target_`` goes by the outputs' names. A list goes by their order, which
``task.outputs`` tells; from there on it is the same as by name, in every log too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dlrun.config.problem import Problem, Problems

if TYPE_CHECKING:
    from dlrun.config.schema import Task

PARTS = ("loss", "metrics", "activation")


@dataclass
class Output:
    """The loss, the metrics by name and the activation of one output, each as in the config."""

    loss: Any = None
    metrics: dict[str, Any] = field(default_factory=dict)
    activation: str | None = None


def by_output(task: Task) -> dict[str, Output] | None:
    """Each output's part of a task, by its name; None for a task of one output.

    The task is one that :func:`wrong_outputs` finds nothing wrong with.
    """
    named = {part: _named(task, part) for part in PARTS if _is_by_output(task, part)}
    if not named:
        return None
    names = dict.fromkeys(name for part in named.values() for name in part)
    return {
        name: Output(**{part: values[name] for part, values in named.items() if values.get(name)})
        for name in names
    }


def logged(task: Task) -> dict[str, Any]:
    """What an epoch logs, as Keras names it: each metric's part of the config, None for a loss.

    With several outputs that is the sum of the losses, each output's loss, and each output's
    metrics; an output's name comes before the metric's, as in ``department_accuracy``.
    """
    outputs = by_output(task)
    if outputs is None:
        return {"loss": None, **(task.metrics or {})}
    losses = [f"{name}_loss" for name, output in outputs.items() if output.loss is not None]
    # Keras logs no loss by itself that is the sum already.
    names: dict[str, Any] = dict.fromkeys(["loss", *(losses if len(losses) > 1 else [])])
    for output_name, output in outputs.items():
        names |= {f"{output_name}_{name}": spec for name, spec in output.metrics.items()}
    return names


def wrong_outputs(task: Task) -> Problems:
    """Yield each part that does not fit the others."""
    for part in PARTS:
        value = getattr(task, part)
        if not isinstance(value, list):
            continue
        if not task.outputs:
            yield Problem(f"task.{part}", "a list needs task.outputs, the outputs' names in order")
            return
        if len(value) != len(task.outputs):
            expected = f"expected {len(task.outputs)}, one for each of task.outputs"
            yield Problem(f"task.{part}", f"{expected}, got {len(value)}")
            return
    several = [part for part in PARTS if _is_by_output(task, part)]
    for part in PARTS:
        if several and part not in several and (part == "loss" or getattr(task, part)):
            yield Problem(f"task.{part}", f"is for one output, and task.{several[0]} for several")
    if "loss" not in several:
        return
    names = tuple(_named(task, "loss"))
    for part in several:
        for name, value in _named(task, part).items():
            if name not in names:
                told = f"no output '{name}' in task.loss; there are {', '.join(names)}"
                yield Problem(f"task.{part}.{name}", told, names)
            elif part == "metrics" and not isinstance(value, dict | None):
                yield Problem(f"task.metrics.{name}", f"expected metrics by name, got {value!r}")


def _is_by_output(task: Task, part: str) -> bool:
    value = getattr(task, part)
    if part != "metrics" or not isinstance(value, dict):
        return isinstance(value, list) or (isinstance(value, dict) and "_target_" not in value)
    # Each metric is a name of Keras' or has a target.
    return any(isinstance(spec, dict) and "_target_" not in spec for spec in value.values())


def _named(task: Task, part: str) -> dict[str, Any]:
    value = getattr(task, part)
    if isinstance(value, list):
        return dict(zip(task.outputs or (), value, strict=False))
    return dict(value)
