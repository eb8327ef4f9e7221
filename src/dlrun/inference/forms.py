"""What the outputs of a run's model are: classes or numbers, from its task and its data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from dlrun.assembly.check_outputs import is_binary, label_format, task_outputs
from dlrun.config.schema import Config
from dlrun.data.input_spec import InputSpec
from dlrun.data.targets import Target
from dlrun.data.tree import leaf, leaves_by_name
from dlrun.evaluation.form import BINARY, CLASSES, MULTILABEL, NUMBERS, Form
from dlrun.evaluation.numbers import MOST_VALUES


def form_of(
    config: Config, spec: InputSpec, name: str | None, output: tuple[int, ...]
) -> Form | str:
    """What an output is.

    Args:
        config: The run's config.
        spec: Its data set's labels.
        name: The output; None for a single one.
        output: The shape of a sample's output.

    Returns:
        The form, or why there is none.
    """
    part = task_outputs(config).get(name)
    if part is None:
        return "the task has no loss for it"
    labels, classes = leaf(spec.labels, name), leaf(spec.num_classes, name)
    target = leaf(spec.targets, name) if spec.targets else None
    kind = target.kind if target else _kind(part.loss, labels, classes, output)
    if not _fits(kind, labels.shape, output):
        return f"its outputs have shape {output}, and its labels {labels.shape}"
    if kind == NUMBERS:
        return Form(kind, _columns(name, target, output), part.activation, _scaled_target(target))
    names = target.classes if target else _numbers(2 if kind == BINARY else output[-1])
    if kind == CLASSES and len(names) != output[-1]:
        names = _numbers(output[-1])  # a model may have more outputs than there are classes
    return Form(kind, names, part.activation)


def _kind(loss: Any, labels: Any, classes: int, output: tuple[int, ...]) -> str:
    """The kind of an output whose labels are all that is known."""
    width = output[-1] if output else 1
    is_sparse = labels.shape in (output[:-1], (*output[:-1], 1))
    if width > 1 and classes > 1 and is_sparse and labels.shape != output:
        return CLASSES
    if width == 1 and (is_binary(loss) or classes == 2):
        return BINARY
    if labels.shape == output and classes > 1 and width == classes:
        if is_binary(loss):
            return MULTILABEL
        if "categorical" in str(loss).lower():
            return CLASSES
    # A loss that compares one-hot labels has made them itself; else they are numbers.
    return CLASSES if width > 1 and label_format(loss) == "sparse" else NUMBERS


def _fits(kind: str, labels: tuple[int, ...], output: tuple[int, ...]) -> bool:
    if kind == CLASSES:
        return labels in (output[:-1], (*output[:-1], 1), output)
    if kind == MULTILABEL:
        return labels == output
    return math.prod(labels) == math.prod(output)


def _scaled_target(target: Target | None) -> Target | None:
    return target if target and target.deviation else None


def _columns(name: str | None, target: Target | None, output: tuple[int, ...]) -> tuple[str, ...]:
    count = math.prod(output)
    if target and len(target.columns) == count:
        return target.columns
    if count == 1:
        return (name or "value",)
    if count > MOST_VALUES:
        return ("all values",)
    if target and output and len(target.columns) == output[-1]:
        steps = count // output[-1]
        return tuple(f"{column} {step + 1}" for step in range(steps) for column in target.columns)
    return tuple(f"value {number}" for number in range(count))


def _numbers(count: int) -> tuple[str, ...]:
    return tuple(map(str, range(count)))


def output_names(spec: InputSpec) -> Sequence[str | None]:
    """The names of a model's outputs, None for a single one."""
    return list(leaves_by_name(spec.num_classes))
