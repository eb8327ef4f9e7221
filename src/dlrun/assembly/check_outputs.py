"""Check that a model's outputs, a data set's labels and a task's losses and metrics match.

Keras accepts many mismatches; it broadcasts class numbers against logits, for example.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from dlrun.config.outputs import Output, outputs_by_name
from dlrun.config.weighting import class_weights_by_output
from dlrun.data.tree import leaf, tree_map
from dlrun.errors import DlrunError

if TYPE_CHECKING:
    from dlrun.config.schema import Config
    from dlrun.data.input_spec import InputSpec

# Names in lower case without underscores. Losses and metrics in no list are not checked.
SPARSE = "sparsecategoricalcrossentropy sparsecategoricalaccuracy sparsetopkcategoricalaccuracy"
ONE_HOT = (  # dlrun's own
    "onehotloss onehotmetric sparserootmeansquarederror f1 precision recall iou topk area r2"
    " pearson"
)
ELEMENTWISE = (
    "mse meansquarederror mae meanabsoluteerror mape meanabsolutepercentageerror msle"
    " meansquaredlogarithmicerror rootmeansquarederror huber logcosh logcosherror poisson"
    " cosinesimilarity kld kldivergence bce binarycrossentropy binaryfocalcrossentropy"
    " categoricalcrossentropy categoricalfocalcrossentropy hinge squaredhinge categoricalhinge"
    " accuracy binaryaccuracy categoricalaccuracy"
)


def label_format(spec: Any) -> str | None:
    """The labels that a loss or metric of a task takes.

    Returns:
        ``sparse``: class numbers. ``one_hot``: class numbers, or labels in the shape of the
        outputs. ``elementwise``: labels in the shape of the outputs. None if unknown.
    """
    target = str(spec.get("_target_") if isinstance(spec, Mapping) else spec)
    package, _, name = target.rpartition(".")
    name = name.replace("_", "").lower()
    if package.startswith("dlrun."):
        return "one_hot" if name in ONE_HOT.split() else None
    if package and not package.startswith("keras."):
        return None
    if name in SPARSE.split():
        return "sparse"
    return "elementwise" if name in ELEMENTWISE.split() else None


def is_binary(spec: Any) -> bool:
    """Whether a loss is a binary cross-entropy, which takes labels from 0 to 1."""
    spec = spec.get("loss", spec.get("_target_")) if isinstance(spec, Mapping) else spec
    name = str(spec).rpartition(".")[2].replace("_", "").lower()
    return name == "bce" or (name.startswith("binary") and name.endswith("crossentropy"))


def task_outputs(config: Config) -> Mapping[Any, Output]:
    """The parts of a task by output name; the name of a single output is None."""
    task = config.task
    named = outputs_by_name(task)
    return (
        dict(named)
        if named
        else {None: Output(task.loss, dict(task.metrics or {}), task.activation)}
    )


def check_outputs(config: Config, spec: InputSpec, outputs: Any) -> None:
    """Refuse outputs, labels, losses and metrics that do not match.

    Args:
        config: The run's config.
        spec: The data set's spec, with the shapes of its labels.
        outputs: The model's outputs, anything with a shape.

    Raises:
        DlrunError: If they do not match.
    """
    target, named = config.model["_target_"], outputs_by_name(config.task)
    if (labels := _names(spec.num_classes)) != (returned := _names(outputs)):
        raise DlrunError(
            f"model: {target} returns {returned}, data={config.choices.get('data')} has {labels}",
            hint="name the outputs like the labels; model=OPTION selects its own data and task",
        )
    known = spec.num_classes if isinstance(spec.num_classes, Mapping) else {}
    if len(known) == 1:
        # Keras logs the names of outputs only if there are several.
        raise DlrunError(
            "labels are a mapping of one array: expected an array",
            hint="a mapping is for several outputs; return the array itself",
        )
    if (named is None) == bool(known) or (named and not set(named) <= set(known)):
        raise DlrunError(
            f"task={config.choices.get('task')} is for {_names(named)}, the data set has {labels}",
            hint="choose a task that has a loss for each output",
        )
    if data_may_change(config):
        return
    output_shapes = tree_map(lambda output: tuple(output.shape)[1:], outputs)
    for name, output in task_outputs(config).items():
        sizes = [leaf(tree, name) for tree in (spec.label_shape, output_shapes, spec.num_classes)]
        for key, component in _losses_and_metrics(name, output):
            _check_pair(key, component, *sizes)
        if output.activation == "softmax" and sizes[1][-1:] == (1,):
            key = f"task.activation.{name}" if name else "task.activation"
            raise DlrunError(
                f"{key}: softmax of the model's only value is always 1",
                hint="task=regression for a number, task=binary_classification for two classes",
            )


def is_multilabel(config: Config, name: str | None, labels: tuple[int, ...]) -> bool:
    """Whether a sample has any number of an output's classes at once.

    Args:
        config: The run's config.
        name: The output; None for a single one.
        labels: The shape of one sample's labels.
    """
    return len(labels) == 1 and labels[0] > 1 and is_binary(task_outputs(config)[name].loss)


def weighs_each_label(config: Config, name: str | None, labels: tuple[int, ...]) -> bool:
    """Whether each of a sample's labels has a weight of its own; as :func:`is_multilabel`."""
    has_weights = name in class_weights_by_output(config.task)
    return has_weights and is_multilabel(config, name, labels)


def data_may_change(config: Config) -> bool:
    """Whether a user's own step or loop may transform the data set's inputs and labels."""
    step = config.loop.get("step") or {}
    return any(
        not str(p.get("_target_", "dlrun.")).startswith("dlrun.") for p in (config.loop, step)
    )


def _names(outputs: Any) -> str:
    if isinstance(outputs, Mapping):
        return f"outputs {', '.join(sorted(outputs))}"
    return "a list" if isinstance(outputs, list | tuple) else "one output"


def _losses_and_metrics(name: str | None, output: Output) -> Iterator[tuple[str, Any]]:
    suffix = f".{name}" if name else ""
    yield f"task.loss{suffix}", output.loss
    for metric, spec in output.metrics.items():
        yield f"task.metrics{suffix}.{metric}", spec


def _check_pair(
    key: str, spec: Any, labels: tuple[int, ...], output: tuple[int | None, ...], classes: int
) -> None:
    """Check a loss or metric against the shapes of one sample's labels and outputs."""
    target = spec.get("_target_") if isinstance(spec, Mapping) else spec
    expects, width = label_format(spec), output[-1] if output else 1
    is_binary_output = expects == "one_hot" and width == 1 and classes <= 2
    sparse = any(_same(labels, shape) for shape in (output[:-1], (*output[:-1], 1)))
    too_narrow = not is_binary_output and (width or 0) < classes
    if expects in ("sparse", "one_hot") and sparse and too_narrow:
        raise DlrunError(
            f"{key}: {target} needs {classes} logits for {classes} classes, but the model"
            f" returns {width}",
            hint="task=binary_classification" if classes == 2 else None,
        )
    same_shape = _same(labels, output)
    if expects == "elementwise":
        # Keras adds or removes a last axis of size 1 itself.
        matches = same_shape or _same((*labels, 1), output) or _same(labels, (*output, 1))
    else:
        matches = sparse or (same_shape and expects != "sparse")
    if matches or expects is None:
        return
    expected = output[:-1] if expects == "sparse" else output
    group = "loss" if key.startswith("task.loss") else "metrics"
    raise DlrunError(
        f"{key}: {target} takes labels of shape {_shape(expected)} for the model's outputs,"
        f" {_shape(output)}; the data set's have {_shape(labels)}",
        hint=f"change the model's last layer, or choose one for these labels: 'dlrun list {group}'",
    )


def _same(labels: tuple[int | None, ...], output: tuple[int | None, ...]) -> bool:
    # None is an axis of any size.
    sizes = zip(labels, output, strict=False)
    return len(labels) == len(output) and all(None in pair or len({*pair}) == 1 for pair in sizes)


def _shape(sizes: tuple[int | None, ...]) -> str:
    return f"({', '.join(['samples', *map(str, sizes)])}{'' if sizes else ','})"
