"""Whether a model's outputs, a data set's labels, and a task's losses and metrics fit together.

Keras pairs by chance what does not: it broadcasts class numbers against logits, and compares a
label with an output that there is not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from dlrun.config.outputs import Output, by_output
from dlrun.data.tree import tree_map
from dlrun.errors import DlrunError

if TYPE_CHECKING:
    from dlrun.config.schema import Config
    from dlrun.data.input_spec import InputSpec

# By their names without case and underscores. Losses and metrics that are in no list are let be.
SPARSE = "sparsecategoricalcrossentropy sparsecategoricalaccuracy sparsetopkcategoricalaccuracy"
ONE_HOT = "onehotloss onehotmetric sparserootmeansquarederror"  # dlrun's own
ELEMENTWISE = (
    "mse meansquarederror mae meanabsoluteerror mape meanabsolutepercentageerror msle"
    " meansquaredlogarithmicerror rootmeansquarederror huber logcosh logcosherror poisson"
    " cosinesimilarity kld kldivergence bce binarycrossentropy binaryfocalcrossentropy"
    " categoricalcrossentropy categoricalfocalcrossentropy hinge squaredhinge categoricalhinge"
    " accuracy binaryaccuracy categoricalaccuracy"
)


def kind(spec: Any) -> str | None:
    """How a loss or metric of a task compares labels with outputs.

    Returns:
        ``sparse``: class numbers with logits. ``one_hot``: the same, or labels in the outputs'
        shape. ``elementwise``: labels in the outputs' shape. None where nobody can tell.
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
    """Whether a loss is a binary cross-entropy, of labels from 0 to 1."""
    spec = spec.get("loss", spec.get("_target_")) if isinstance(spec, Mapping) else spec
    name = str(spec).rpartition(".")[2].replace("_", "").lower()
    return name == "bce" or (name.startswith("binary") and name.endswith("crossentropy"))


def parts(config: Config) -> Mapping[Any, Output]:
    """A task's loss and metrics for each output, by name; by None for the only one."""
    task = config.task
    named = by_output(task)
    return dict(named) if named else {None: Output(task.loss, dict(task.metrics or {}))}


def check_outputs(config: Config, spec: InputSpec, outputs: Any) -> None:
    """Refuse outputs, labels, losses and metrics that do not fit together.

    Args:
        config: For its task.
        spec: For the labels.
        outputs: What the model returns, anything with a shape.

    Raises:
        DlrunError: If they do not fit.
    """
    target, named = config.model["_target_"], by_output(config.task)
    if (labels := _names(spec.num_classes)) != (returned := _names(outputs)):
        raise DlrunError(
            f"model: {target} returns {returned}, data={config.choices.get('data')} has {labels}",
            hint="outputs go by the labels' names; a model's option brings its own data and task",
        )
    known = spec.num_classes if isinstance(spec.num_classes, Mapping) else {}
    if len(known) == 1:
        # Keras puts an output's name into the logs where there are several.
        raise DlrunError("labels by name are for several outputs: give the only one as an array")
    if (named is None) == bool(known) or (named and not set(named) <= set(known)):
        raise DlrunError(
            f"task={config.choices.get('task')} is for {_names(named)}, the data set has {labels}",
            hint="choose a task that has a loss for each output",
        )
    if _labels_change(config):
        return
    shapes = spec.label_shape
    returns = tree_map(lambda output: tuple(output.shape)[1:], outputs)
    for name, part in parts(config).items():
        told = (_one(shapes, name), _one(returns, name), _one(spec.num_classes, name))
        for key, compared in _compared(name, part):
            _check_pair(key, compared, *told)


def _labels_change(config: Config) -> bool:
    """Whether a step or a loop of the user's own may make other labels of the data set's."""
    step = config.loop.get("step") or {}
    return any(
        not str(p.get("_target_", "dlrun.")).startswith("dlrun.") for p in (config.loop, step)
    )


def _names(outputs: Any) -> str:
    if isinstance(outputs, Mapping):
        return f"outputs {', '.join(sorted(outputs))}"
    return "a list" if isinstance(outputs, list | tuple) else "one output"


def _one(tree: Any, name: str | None) -> Any:
    return tree if name is None else tree[name]


def _compared(name: str | None, part: Output) -> Iterator[tuple[str, Any]]:
    below = f".{name}" if name else ""
    yield f"task.loss{below}", part.loss
    for metric, spec in part.metrics.items():
        yield f"task.metrics{below}.{metric}", spec


def _check_pair(
    key: str, spec: Any, labels: tuple[int, ...], output: tuple[int | None, ...], classes: int
) -> None:
    """Check a loss or metric against one sample's labels and outputs, by their shapes."""
    told = spec.get("_target_") if isinstance(spec, Mapping) else spec
    compares, width = kind(spec), output[-1] if output else 1
    yes_or_no = compares == "one_hot" and width == 1 and classes <= 2
    numbers = any(_same(labels, shape) for shape in (output[:-1], (*output[:-1], 1)))
    if compares in ("sparse", "one_hot") and numbers and not yes_or_no and (width or 0) < classes:
        raise DlrunError(
            f"{key}: {told} needs {classes} logits for {classes} classes, and the model"
            f" returns {width}",
            hint="task=binary_classification" if classes == 2 else None,
        )
    alike = _same(labels, output)
    if compares == "elementwise":
        # Keras itself puts an axis of one at the end of either, and takes it away.
        fits = alike or _same((*labels, 1), output) or _same(labels, (*output, 1))
    else:
        fits = numbers or (alike and compares != "sparse")
    if fits or compares is None:
        return
    expected = output[:-1] if compares == "sparse" else output
    group = "loss" if key.startswith("task.loss") else "metrics"
    raise DlrunError(
        f"{key}: {told} takes labels of shape {_shape(expected)} for the model's outputs,"
        f" {_shape(output)}; the data set's have {_shape(labels)}",
        hint=f"mend the model's last layers, or see 'dlrun list {group}' for one of these labels",
    )


def _same(labels: tuple[int | None, ...], output: tuple[int | None, ...]) -> bool:
    # None is an axis of any size.
    sizes = zip(labels, output, strict=False)
    return len(labels) == len(output) and all(None in pair or len({*pair}) == 1 for pair in sizes)


def _shape(sizes: tuple[int | None, ...]) -> str:
    return f"({', '.join(['samples', *map(str, sizes)])}{'' if sizes else ','})"
