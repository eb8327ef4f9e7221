"""Check how a task weighs and draws samples, as far as that needs no labels."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from dlrun.config.outputs import Output, outputs_by_name, wrong_outputs
from dlrun.config.problem import Problem, Problems
from dlrun.config.schema import Config, Task
from dlrun.errors import shorten

BALANCED = "balanced"
SAMPLINGS = ("oversample", "undersample")


def name_classes(class_weight: Any) -> Any:
    """The value of ``task.class_weight`` with its classes as text, as other keys of a config are.

    ``{0: 1}`` and ``{'0': 1}`` are then the same; JSON, and keys of an override, have only text.
    """
    if not isinstance(class_weight, dict):
        return class_weight
    return {str(key): name_classes(value) for key, value in class_weight.items()}


def class_weights_by_output(task: Task) -> dict[str | None, Any]:
    """``balanced``, or the weights by class, of each output that has them.

    The name of a single output is None. The config must pass :func:`wrong_weighting`.
    """
    return dict(_by_output(task, task.class_weight))


def loss_weights_by_output(task: Task) -> dict[str | None, float]:
    """What the loss of each output counts in their sum.

    The config must pass :func:`wrong_weighting`.
    """
    outputs = outputs_by_name(task)
    if outputs is None:
        return {None: 1.0}
    given = task.loss_weights or {}
    return {name: float(given.get(name, 1)) for name in outputs}


def sampling_by_output(task: Task) -> tuple[str | None, str] | None:
    """The output whose classes decide the sampling, and the sampling; None for none."""
    return next(_by_output(task, task.sampling), None)


def wrong_weighting(config: Config) -> Problems:
    """Yield what is wrong with a task's weighted metrics, class weights and sampling."""
    task = config.task
    if any(wrong_outputs(task)):
        return  # reported there
    outputs = outputs_by_name(task)
    metrics = (
        {None: task.metrics or {}}
        if outputs is None
        else {name: output.metrics for name, output in outputs.items()}
    )
    for output, specs in metrics.items():
        for name, spec in specs.items():
            if isinstance(spec, dict) and not isinstance(spec.get("weighted", False), bool):
                text = f"expected true or false, got {shorten(repr(spec['weighted']))}"
                yield Problem(f"{_key('task.metrics', output)}.{name}.weighted", text)
    for key in ("class_weight", "sampling"):
        value = getattr(task, key)
        if outputs is not None and value is not None:
            yield from _wrong_names(f"task.{key}", value, outputs)
    yield from _wrong_loss_weights(task.loss_weights, outputs)
    if outputs is not None and not all(
        isinstance(value, dict | None) for value in (task.class_weight, task.sampling)
    ):
        return
    weights = class_weights_by_output(task)
    for output, weight in weights.items():
        key = _key("task.class_weight", output)
        yield from _wrong_class_weight(key, weight, _num_classes(config, output))
    samplings = dict(_by_output(task, task.sampling))
    for output, sampling in samplings.items():
        key = _key("task.sampling", output)
        if sampling not in SAMPLINGS:
            text = f"must be null, {' or '.join(SAMPLINGS)}, got {shorten(repr(sampling))}"
            yield Problem(key, text, SAMPLINGS)
        elif weights.get(output) == BALANCED:
            text = f"draws as many samples of each class, and {_key('task.class_weight', output)}"
            yield Problem(key, f"{text}={BALANCED} weighs them again: choose one")
    if len(samplings) > 1:
        yield Problem("task.sampling", "can follow the classes of one output only")


def _wrong_loss_weights(value: Any, outputs: dict[str, Output] | None) -> Problems:
    key = "task.loss_weights"
    if value is None:
        return
    if outputs is None:
        yield Problem(key, "weighs the losses of several outputs, but the task has one")
        return
    yield from _wrong_names(key, value, outputs)
    if not isinstance(value, dict):
        return
    for name, weight in value.items():
        if not _is_weight(weight):
            text = f"expected a number from 0, got {shorten(repr(weight))}"
            yield Problem(f"{key}.{name}", text)
    if not any(value.get(name, 1) for name in outputs):
        yield Problem(key, "has no weight above 0")


def _wrong_names(key: str, value: Any, outputs: dict[str, Output]) -> Problems:
    if not isinstance(value, dict):
        text = f"must be a mapping by output, of {', '.join(outputs)}"
        yield Problem(key, f"{text}, got {shorten(repr(value))}")
        return
    for name in value:
        if name not in outputs:
            text = f"no output {str(name)!a} in task.loss; there are {', '.join(outputs)}"
            yield Problem(f"{key}.{name}", text, tuple(outputs))


def _wrong_class_weight(key: str, value: Any, num_classes: int | None) -> Problems:
    if value == BALANCED:
        return
    if not isinstance(value, dict):
        text = f"must be null, {BALANCED}, or a weight by class such as {{no: 1, yes: 5}}"
        yield Problem(key, f"{text}, got {shorten(repr(value))}", (BALANCED,))
        return
    for name, weight in value.items():
        both = weight if isinstance(weight, list) and len(weight) == 2 else [weight]
        last = None if num_classes is None else max(num_classes, 2) - 1
        # Data that say how many classes there are have no names for them.
        if last is not None and not (name.isdecimal() and int(name) <= last):
            yield Problem(f"{key}.{name}", f"there are classes 0 to {last}")
        elif not all(map(_is_weight, both)):
            text = f"expected a number from 0, got {shorten(repr(weight))}"
            yield Problem(f"{key}.{name}", text)
    if all(weight in (0, [0, 0]) for weight in value.values()):
        yield Problem(key, "has no weight above 0")


def _is_weight(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and 0 <= value < math.inf


def _by_output(task: Task, value: Any) -> Iterator[tuple[str | None, Any]]:
    if value is None:
        return
    if outputs_by_name(task) is None:
        yield None, value
    elif isinstance(value, dict):
        yield from ((name, of_output) for name, of_output in value.items() if of_output is not None)


def _num_classes(config: Config, output: str | None) -> int | None:
    """The number of classes, where the config tells."""
    known = config.data.get("num_classes")
    known = known.get(output) if isinstance(known, dict) else known
    return known if isinstance(known, int) and not isinstance(known, bool) else None


def _key(key: str, output: str | None) -> str:
    return key if output is None else f"{key}.{output}"
