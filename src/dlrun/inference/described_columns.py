"""Predictions as columns for people: names of classes, probabilities, numbers in their units."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dlrun.config.outputs import outputs_by_name
from dlrun.config.schema import Config
from dlrun.data.input_spec import InputSpec
from dlrun.data.readers import Part, targets_of
from dlrun.data.tree import Arrays
from dlrun.errors import DlrunError

# What a column holds: a whole number, a number, a text, several, or what a table's column did.
INTEGER, NUMBER, TEXT, TEXTS, ANY = "integer", "number", "text", "texts", "any"
PROBABILITIES = ("softmax", "sigmoid")

Columns = dict[str, tuple[str, Sequence[Any]]]


class Plain:
    """Columns of a run whose outputs have no names: ``index``, ``label`` and ``output_0``, ....

    Several outputs are distinguished by name: ``department_label``, ``department_0``, ..., and just
    ``priority`` for a single number.
    """

    def __init__(self) -> None:
        self._next = 0

    def columns(self, part: Part, outputs: Arrays, *, errors: bool) -> Columns:
        """See :meth:`DescribedColumns.columns`."""
        right = part.is_right
        count = len(right)
        found: Columns = {"index": (INTEGER, range(self._next, self._next + count))}
        self._next += count
        found |= {name: (ANY, values) for name, values in part.names.items()}
        for name, values in named_outputs(outputs):
            if (labels := labels_of(values)) is not None:
                found[f"{name}_label" if name else "label"] = (INTEGER, _spread(labels, right))
            flat = _flat(values)
            is_scalar = name and flat.shape[1] == 1
            for place, column in enumerate(flat.T):
                title = name if is_scalar else f"{name or 'output'}_{place}"
                found[title] = (NUMBER, _spread(column.astype(np.float64), right))
        return _with_errors(found, part) if errors else found


class DescribedColumns:
    """Columns of a run that knows what its outputs mean.

    ``row``, what names the row, and for each target

    - of numbers: ``predicted_price``, in the units of the target;
    - of classes: ``predicted_species``, its ``probability``, and ``probability_setosa``, ... of
      every class, or the best ones: ``top_1``, ``top_1_probability``, ``top_2``, ...;
    - of any number of classes: ``predicted_tags``, all whose probability is above 0.5, and the
      probability of every class, or the best ones.

    Of several outputs, all but the first are prefixed: ``species_probability``. A value is called
    ``score`` in place of ``probability`` if the task's activation does not make it one.

    Args:
        spec: The run's; it has targets.
        config: The run's.
        top: How many of the best classes to show in place of every class.

    Raises:
        DlrunError: If ``top`` is given, and the run predicts no classes.
    """

    def __init__(self, spec: InputSpec, config: Config, top: int | None) -> None:
        assert spec.targets is not None
        self._targets = {name or "": target for name, target in targets_of(spec).items()}
        outputs = outputs_by_name(config.task)
        self._activations = (
            {"": config.task.activation}
            if outputs is None
            else {name: output.activation for name, output in outputs.items()}
        )
        self._top = top
        if top is not None and all(t.kind == "regression" for t in self._targets.values()):
            raise DlrunError(f"--top {top}: the run predicts numbers", hint="leave it out")

    def columns(self, part: Part, outputs: Arrays, *, errors: bool) -> Columns:
        """The columns of a part, each with what it holds and a value for each row.

        Args:
            part: The samples; those that could not be read have None.
            outputs: What the model returned for those that could, not in the target's units.
            errors: Whether a last column, ``error``, says what was wrong.
        """
        right = part.is_right
        found: Columns = {"row": (INTEGER, part.rows.tolist())}
        found |= {name: (ANY, values) for name, values in part.names.items()}
        for name, values in named_outputs(outputs):
            described = self._describe(name, values)
            found |= {title: (kind, _spread(v, right)) for title, (kind, v) in described.items()}
        return _with_errors(found, part) if errors else found

    def _describe(self, name: str, values: np.ndarray) -> dict[str, tuple[str, Any]]:
        target, prefix = self._targets[name], f"{name}_" if name else ""
        values = _flat(values.astype(np.float64))
        if target.kind == "regression":
            numbers = target.restore(values)
            return {
                f"predicted_{column}": (NUMBER, numbers[:, place])
                for place, column in enumerate(target.columns)
            }
        word = "probability" if self._activations.get(name) in PROBABILITIES else "score"
        classes = np.array(target.classes, object)
        title = target.columns[0] if len(target.columns) == 1 else "labels"
        if target.kind == "multilabel":
            chosen = [[*classes[row]] for row in values > 0.5]
            found: dict[str, Any] = {f"predicted_{title}": (TEXTS, chosen)}
        else:
            if target.kind == "binary_classification":
                best = (values[:, 0] > 0.5).astype(np.int64)
                if word == "score":
                    return {
                        f"predicted_{title}": (TEXT, classes[best]),
                        f"{prefix}score": (NUMBER, values[:, 0]),
                    }
                values = np.stack([1 - values[:, 0], values[:, 0]], axis=1)
            else:
                best = values.argmax(axis=1)
            found = {
                f"predicted_{title}": (TEXT, classes[best]),
                f"{prefix}{word}": (NUMBER, np.take_along_axis(values, best[:, None], 1)[:, 0]),
            }
        if self._top is None:
            every = enumerate(target.classes)
            return found | {f"{prefix}{word}_{c}": (NUMBER, values[:, n]) for n, c in every}
        order = np.argsort(-values, axis=1, kind="stable")[:, : self._top]
        for place in range(order.shape[1]):
            at = order[:, place]
            found[f"{prefix}top_{place + 1}"] = (TEXT, classes[at])
            chosen_values = np.take_along_axis(values, at[:, None], 1)[:, 0]
            found[f"{prefix}top_{place + 1}_{word}"] = (NUMBER, chosen_values)
        return found


def named_outputs(outputs: Arrays) -> list[tuple[str, np.ndarray]]:
    """The outputs with their names; a single output has the name ``""``."""
    return list(outputs.items()) if isinstance(outputs, Mapping) else [("", outputs)]


def labels_of(predictions: np.ndarray) -> np.ndarray | None:
    """The class of each sample, ``(samples,)``; None if they are not classes."""
    classes = predictions.ndim == 2 and predictions.shape[1] > 1
    return predictions.argmax(axis=1) if classes else None


def _flat(values: np.ndarray) -> np.ndarray:
    return values.reshape(len(values), math.prod(values.shape[1:]))


def _spread(values: Any, right: np.ndarray) -> list[Any]:
    """Values of the samples that could be read as those of every one; None for the others."""
    listed: list[Any] = values.tolist() if isinstance(values, np.ndarray) else values
    if right.all():
        return listed
    following = iter(listed)
    return [next(following) if is_right else None for is_right in right]


def _with_errors(columns: Columns, part: Part) -> Columns:
    errors = [part.wrong.get(place) for place in range(len(part.rows))]
    return {**columns, "error": (TEXT, errors)}
