"""The classes of a data set's samples: their weights in the loss, and how an epoch draws them.

Keras' ``class_weight`` takes one output alone and no sample weights beside it, weighs a class that
is left out as 1, and takes the largest column of several labels for a class.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from dlrun.assembly import label_weights
from dlrun.assembly.check_outputs import is_multilabel, label_format, task_outputs
from dlrun.config.weighting import BALANCED, class_weights_by_output, sampling_by_output
from dlrun.data.dataset import SPLITS, Dataset
from dlrun.data.sampling import ClassSampling
from dlrun.data.tree import as_tree, leaf
from dlrun.errors import DlrunError, did_you_mean, list_names

if TYPE_CHECKING:
    from dlrun.config.schema import Config

SHOWN = 10  # of the classes in a message

Weight = float | label_weights.OfLabel


def class_weights(data: Dataset, config: Config) -> dict[str | None, dict[int, Weight]]:
    """The weight of each class, by output; the name of a single output is None.

    ``balanced`` weights are ``samples / (classes * samples of the class)`` over the training split,
    as from scikit-learn. Where a sample has any number of classes, each has two weights: for the
    samples without it and for those with it.

    Raises:
        DlrunError: If labels are not class numbers, or a class has no weight.
    """
    weights = {}
    for name, given in class_weights_by_output(config.task).items():
        key = _key(name)
        names = _names_of(name, data)
        each_label = _is_multilabel(name, data, config)
        classes = {split: _classes(key, split, name, data, config) for split in SPLITS}
        weights[name] = (
            _balanced(classes["train"], each_label=each_label)
            if given == BALANCED
            else _by_number(key, given, name, data, each_label=each_label)
        )
        for split, of_samples in classes.items():
            if each_label and given == BALANCED:
                train = classes["train"]
                label_weights.require_both(key, split, of_samples, train, names)
            occurring = _occurring(of_samples, each_label=each_label)
            _require_each(key, split, occurring, weights[name], given, names)
    return weights


def recorded_weights(
    data: Dataset, config: Config, source: str
) -> tuple[dict[str | None, dict[int, Weight]], list[str]]:
    """The weights that a run has recorded, for the classes of data that it is evaluated on.

    Args:
        data: The data; of a file, its samples as each split.
        config: The run's, with the weights that it has recorded.
        source: What the data are called in messages.

    Returns:
        As from :func:`class_weights`, and a line for each output whose weights are not complete: a
        class that has none counts 1. Nothing is balanced by the samples that are evaluated.

    Raises:
        DlrunError: If labels are not class numbers.
    """
    weights: dict[str | None, dict[int, Weight]] = {}
    notes = []
    for name, given in class_weights_by_output(config.task).items():
        if given == BALANCED:
            notes.append(
                f"{_key(name)}={BALANCED}: the run has recorded no weights, so the classes of"
                f" {source} are not weighted"
            )
            continue
        each_label = _is_multilabel(name, data, config)
        known = _by_number(_key(name), given, name, data, each_label=each_label)
        found: set[int] = set()
        for split in {id(getattr(data, split)): split for split in SPLITS}.values():
            classes = _classes(_key(name), split, name, data, config, source=source)
            found.update(_occurring(classes, each_label=each_label).tolist())
        if unknown := sorted(found - known.keys()):
            several = len(unknown) > 1
            named = list_names([_name_of(n, _names_of(name, data)) for n in unknown], SHOWN)
            notes.append(
                f"{source}: class{'es' if several else ''} {named} ha{'ve' if several else 's'} no"
                f" weight in {_key(name)}, and count{'' if several else 's'} 1"
            )
        one: Weight = (1.0, 1.0) if each_label else 1.0
        weights[name] = {**dict.fromkeys(unknown, one), **known}
    return weights, notes


def _key(name: str | None) -> str:
    return f"task.class_weight.{name}" if name else "task.class_weight"


def _occurring(classes: np.ndarray, *, each_label: bool) -> np.ndarray:
    """The numbers of the classes that need a weight."""
    return np.arange(classes.shape[1]) if each_label else np.unique(classes)


def _balanced(classes: np.ndarray, *, each_label: bool) -> dict[int, Weight]:
    if each_label:
        return {**label_weights.balanced(classes)}
    numbers, counts = np.unique(classes, return_counts=True)
    balanced = counts.sum() / (len(numbers) * counts.astype(np.float64))
    return dict(zip(numbers.tolist(), balanced.tolist(), strict=True))


def _is_multilabel(name: str | None, data: Dataset, config: Config) -> bool:
    return is_multilabel(config, name, leaf(data.train.labels, name).shape[1:])


def as_config(weights: Mapping[str | None, Mapping[int, Weight]], data: Dataset) -> Any:
    """Class weights as a value of ``task.class_weight``; None for none.

    Args:
        weights: From :func:`class_weights`.
        data: The same data set: classes that it names are named.
    """
    named = {
        name: {
            _name_of(number, _names_of(name, data)): list(w) if isinstance(w, tuple) else w
            for number, w in of_output.items()
        }
        for name, of_output in weights.items()
    }
    return as_tree(named) or None


def samples_weights(
    name: str | None, split: str, weights: Mapping[int, Any], data: Dataset, config: Config
) -> np.ndarray:
    """The weights of a split's samples by their class, in the shape of the labels, float32."""
    classes = _classes("task.class_weight", split, name, data, config)
    if _is_multilabel(name, data, config):
        return label_weights.of_samples(classes, weights)
    table = np.zeros(max(weights) + 1, np.float32)
    table[list(weights)] = list(weights.values())
    return np.asarray(table[classes])


def class_sampling(data: Dataset, config: Config) -> ClassSampling | None:
    """How an epoch draws its samples; None for each once.

    Raises:
        DlrunError: If labels are not one class number for each sample.
    """
    if (chosen := sampling_by_output(config.task)) is None:
        return None
    name, sampling = chosen
    key = f"task.sampling.{name}" if name else "task.sampling"
    several = _is_multilabel(name, data, config)
    if several or (classes := _classes(key, "train", name, data, config)).ndim > 1:
        raise DlrunError(
            f"{key}={sampling}: train.labels have several classes for each sample, so samples can't"
            " be drawn by class",
            hint="weigh them instead: task.class_weight=balanced",
        )
    return ClassSampling(classes, oversample=sampling == "oversample")


def _classes(
    key: str, split: str, name: str | None, data: Dataset, config: Config, *, source: str = ""
) -> np.ndarray:
    """The class of each sample, ``(samples,)``, or of each step, ``(samples, steps)``.

    Args:
        key: The config's key.
        split: The split.
        name: The output; None for a single one.
        data: The data set.
        config: The run's.
        source: What the samples are called, if they may be others than those trained on.

    Raises:
        DlrunError: If the labels are not class numbers.
    """
    labels = leaf(getattr(data, split).labels, name)
    num_classes, loss = leaf(data.num_classes, name), task_outputs(config)[name].loss
    label = (f"{source}: " if source else f"{split}.") + "labels" + (f"[{name!r}]" if name else "")
    instead = "correct them" if source else f"{key}=null"
    several = _is_multilabel(name, data, config)
    if labels.shape[1:] == (1,):
        labels = labels[:, 0]
    elif labels.ndim > 1 and label_format(loss) != "sparse" and not several:
        raise DlrunError(
            f"{key}: {label} has shape {labels.shape}, and its columns are not one class number for"
            " each sample",
            hint=f"{instead}; give weights to the samples themselves: Split(..., weights=...)",
        )
    # Floats may be classes only as 0 and 1, which binary cross-entropy takes.
    whole = np.issubdtype(labels.dtype, np.integer) and num_classes > 1 and not several
    if not whole and len(other := labels[(labels != 0) & (labels != 1)]):
        raise DlrunError(
            f"{key}: {label} has the value {other.flat[0]:g}, so they are not class numbers",
            hint=f"{instead}; classes are integers from 0, or 0 and 1 of a binary label",
        )
    return np.asarray(labels, np.int64)


def _names_of(name: str | None, data: Dataset) -> tuple[str, ...]:
    """The names of an output's classes; none if the data do not tell."""
    target = None if data.targets is None else leaf(data.targets, name)
    return () if target is None else target.classes


def _name_of(number: int, names: tuple[str, ...]) -> str:
    return names[number] if names else str(number)


def _by_number(
    key: str, given: Mapping[str, Any], name: str | None, data: Dataset, *, each_label: bool
) -> dict[int, Weight]:
    """The weights that a user gives to classes, by name or by number, by the classes' numbers.

    Raises:
        DlrunError: If there is no such class, or a sample has one class and a class two weights.
    """
    last, names = max(2, leaf(data.num_classes, name)) - 1, _names_of(name, data)
    known = {name: number for number, name in enumerate(names)}
    if {"false", "true"} == set(names):  # YAML's truth values
        known |= {"False": known["false"], "True": known["true"]}
    # Classes may be called 1, 2 and 3: a name is meant before a number.
    if not any(of_class in known for of_class in given):
        known = {str(number): number for number in range(last + 1)}
    if wrong := next((of_class for of_class in given if of_class not in known), None):
        of_all = list_names(names, SHOWN)
        raise DlrunError(
            f"{key}: there is no class {wrong}: the classes are {of_all or f'0 to {last}'}",
            hint=did_you_mean(wrong, names) or "leave it out",
        )
    weights: dict[int, Weight] = {}
    for of_class, weight in given.items():
        both = [float(w) for w in weight] if isinstance(weight, list) else [1.0, float(weight)]
        if isinstance(weight, list) and not each_label:
            raise DlrunError(
                f"{key}.{of_class}: two weights, without the class and with it, are for samples of"
                " any number of classes",
                hint=f"{key}.{of_class}={both[1]:g}",
            )
        weights[known[of_class]] = (both[0], both[1]) if each_label else both[1]
    return weights


def _require_each(
    key: str,
    split: str,
    classes: np.ndarray,
    weights: Mapping[int, Weight],
    given: Any,
    names: tuple[str, ...],
) -> None:
    """Check that each class has a weight.

    Raises:
        DlrunError: If one has none.
    """
    missing = [_name_of(n, names) for n in classes.tolist() if n not in weights]
    if not missing:
        return
    listed = f"{'es' if len(missing) > 1 else ''} {list_names(missing, SHOWN)}"
    if given == BALANCED:
        why = (
            f"class{listed} of {split}.labels occur{'' if len(missing) > 1 else 's'} in no training"
        )
        raise DlrunError(
            f"{key}={BALANCED}: {why} sample, so there is nothing to balance by",
            hint=f"give a weight by class: '{key}={{0: 1, 1: 5}}'",
        )
    raise DlrunError(
        f"{key}: no weight for class{listed} of {split}.labels",
        hint=f"{key}.{missing[0]}=1, or {key}={BALANCED}",
    )
