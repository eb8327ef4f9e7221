"""Refuse a data set that would train without an error, or fail only later.

A user's function may return wrong data in many ways. Frameworks detect few of them, each with its
own message and some only at the end of an epoch; these checks run before the first step.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from itertools import chain
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from dlrun.assembly.check_outputs import is_binary, label_format, task_outputs
from dlrun.data.dataset import SPLITS, Dataset, Split
from dlrun.data.description.class_coverage import unlearned_of
from dlrun.data.tree import Tree, leaves_by_name
from dlrun.errors import DlrunError
from dlrun.system.finite import extremes, first_not_finite, first_outside

if TYPE_CHECKING:
    from dlrun.config.schema import Config

log = logging.getLogger("dlrun")

INT32 = np.iinfo(np.int32)
PIXELS = (128, 255)  # range of the maximum of unscaled pixels

Problems: TypeAlias = Iterator[tuple[str, str | None]]


def check_data(data: Any, config: Config) -> None:
    """Check every array of every split, and warn about inputs that look unscaled.

    Args:
        data: The return value of the config's data set function.
        config: The run's config.

    Raises:
        DlrunError: If a check fails; names the array, the index, the value and a fix.
    """
    target = config.data["_target_"]
    first = next(_problems(data, config), None)
    if first is not None:
        problem, hint = first
        raise DlrunError(f"data: {target}: {problem}", hint=hint)
    for name, array in () if data.is_checked else _arrays_by_name("train", data.train):
        if name.startswith("train.inputs") and _looks_unscaled(array, data.scale):
            fix = "divide by 255" if _floats(array) else "return Dataset(..., scale=255)"
            log.warning("%s goes up to %g, like unscaled pixels: %s", name, array.max(), fix)
    for line in unlearned_of(data):
        log.warning("%s", line)


def check_form(data: Dataset, target: str) -> None:
    """Check what a description of the data relies on: that each array has numbers.

    Args:
        data: The data set.
        target: The function that returned it.

    Raises:
        DlrunError: As :func:`check_data`.
    """
    for split in SPLITS:
        for problem, hint in _wrong_form(split, getattr(data, split)):
            raise DlrunError(f"data: {target}: {problem}", hint=hint)


def check_samples(data: Dataset, config: Config, source: str) -> None:
    """Check the labels and weights of a file that a run is evaluated on.

    Args:
        data: Its samples, as each split.
        config: The run's config.
        source: What the file is called in messages.

    Raises:
        DlrunError: As :func:`check_data`.
    """
    for problem, hint in chain(
        _wrong_labels("test", data, config), _wrong_weights("test", data.test)
    ):
        raise DlrunError(f"{source}: {problem.removeprefix('test.')}", hint=hint)


def _problems(data: Any, config: Config) -> Problems:
    if not isinstance(data, Dataset):
        yield f"returned {type(data).__name__}", "return a dlrun.data.dataset.Dataset"
    for split in SPLITS:
        yield from _wrong_form(split, getattr(data, split))
    if not isinstance(data.scale, Real) or not 0 < float(data.scale) < np.inf:
        yield f"scale is {data.scale!r}, expected a number above 0", "for pixels: scale=255"
    yield from _wrong_classes(data)
    for split in ("train", "test"):
        if not len(getattr(data, split)):
            yield f"the {split} split is empty", "provide at least one sample"
    for split in ("validation", "test"):
        if len(getattr(data, split)):
            yield from _unlike_train(split, getattr(data, split), data.train)
    for split in SPLITS:
        yield from () if data.is_checked else _wrong_values(split, getattr(data, split))
        yield from _wrong_labels(split, data, config)
        yield from _wrong_weights(split, getattr(data, split))


def _arrays_by_name(split: str, samples: Split) -> list[tuple[str, np.ndarray]]:
    return [
        *_leaves(f"{split}.inputs", samples.inputs),
        *_leaves(f"{split}.labels", samples.labels),
    ]


def _leaves(path: str, arrays: Tree[Any]) -> list[tuple[str, Any]]:
    """Arrays, each with its path in Python syntax, such as ``train.inputs['title']``."""
    named = leaves_by_name(arrays).items()
    return [(path if name is None else f"{path}[{name!r}]", array) for name, array in named]


def _floats(array: np.ndarray) -> bool:
    return np.issubdtype(array.dtype, np.floating)


def _wrong_form(split: str, samples: Any) -> Problems:
    if not isinstance(samples, Split):
        hint = "use dlrun.data.dataset.Split(inputs, labels)"
        yield f"{split} is {type(samples).__name__}, expected a Split", hint
    for name, array in _arrays_by_name(split, samples):
        if not isinstance(array, np.ndarray):
            yield f"{name} is {type(array).__name__}", "make it an array with numpy.asarray()"
        elif np.ma.is_masked(array):
            yield f"{name} has masked values, which would be data", "array.filled(0)"
        elif not (_floats(array) or np.issubdtype(array.dtype, np.integer)):
            fix = "array.astype('uint8')" if array.dtype == bool else "array.astype('float32')"
            if name.startswith(f"{split}.labels") and array.dtype != bool:
                fix = "number the classes from 0, as numpy.unique(labels, return_inverse=True) does"
            yield f"{name} has dtype {array.dtype}: expected integers or floats", fix


def _wrong_classes(data: Dataset) -> Problems:
    for name, classes in _leaves("num_classes", data.num_classes):
        if not isinstance(classes, Integral) or isinstance(classes, bool) or classes < 1:
            hint = "the number of classes, or 1 for a numeric label"
            yield f"{name} is {classes!r}, expected an integer from 1", hint
    if (class_names := _names(data.num_classes)) != (label_names := _names(data.train.labels)):
        hint = "give num_classes for each of the labels"
        yield f"num_classes is for {class_names}, train.labels has {label_names}", hint


def _names(tree: Any) -> str:
    return ", ".join(map(str, sorted(tree))) if isinstance(tree, Mapping) else "one array"


def _unlike_train(split: str, samples: Split, train: Split) -> Problems:
    for field in ("inputs", "labels"):
        names, train_names = _names(getattr(samples, field)), _names(getattr(train, field))
        if names != train_names:
            problem = f"{split}.{field} has {names}, train.{field} has {train_names}"
            yield problem, "use the same arrays in each split"
    pairs = zip(_by_name(split, samples), _by_name("train", train), strict=True)
    for (name, array), (train_name, of_train) in pairs:
        if array.shape[1:] != of_train.shape[1:]:
            problem = f"{name} has shape {array.shape}, {train_name} {of_train.shape}"
            yield problem, "only the number of samples may differ"
        if ".labels" in name and _floats(array) != _floats(of_train):
            problem = f"{name} has dtype {array.dtype}, {train_name} {of_train.dtype}"
            yield problem, "use integers in each split, or floats in each"


def _by_name(split: str, samples: Split) -> list[tuple[str, np.ndarray]]:
    return sorted(_arrays_by_name(split, samples), key=lambda item: item[0])


def _wrong_values(split: str, samples: Split) -> Problems:
    for name, array in _arrays_by_name(split, samples):
        if _floats(array):
            # A batch is float32, where a finite double may overflow to infinity.
            bad = first_not_finite(array, np.float32)
            fix = "remove the sample, or fill in the value"
        else:
            bad = None
            if ".labels" in name and array.dtype.itemsize > 2:
                bad = first_outside(array, INT32.min, INT32.max)
            fix = "labels must fit in int32"
        if bad is not None:
            too_large = _floats(array) and np.isfinite(array[bad])
            beyond = ", more than float32 holds" if too_large else ""
            fix = "divide the array" if too_large else fix
            yield f"{_at(name, bad)} is {array[bad]}{beyond}", fix


def _wrong_labels(split: str, data: Dataset, config: Config) -> Problems:
    labels, classes = getattr(data, split).labels, data.num_classes
    counts, tasks = leaves_by_name(classes), task_outputs(config)
    for key, array in leaves_by_name(labels).items():
        [(name, _)] = _leaves(f"{split}.labels", array if key is None else {key: array})
        loss = tasks[key].loss if key in tasks else None
        is_class = counts[key] > 1 and array.shape[1:] in ((), (1,))
        if is_class or label_format(loss) == "sparse":
            yield from _wrong_class_numbers(name, array, counts[key])
        elif is_binary(loss) and (bad := first_outside(array, 0, 1)):
            hint = "binary cross-entropy expects labels from 0 to 1"
            yield f"{_at(name, bad)} is {array[bad]}", hint


def _wrong_weights(split: str, samples: Split) -> Problems:
    """Weights that would broadcast against the wrong axis, or make a loss nan."""
    if samples.weights is None:
        return
    labels: Any = samples.labels
    if isinstance(samples.weights, Mapping) != isinstance(labels, Mapping):
        problem = f"{split}.weights is for {_names(samples.weights)}, {split}.labels has"
        yield f"{problem} {_names(labels)}", "give weights by the names of the labels"
        return
    weights: Any = samples.weights
    for key, array in leaves_by_name(weights).items():
        [(name, _)] = _leaves(f"{split}.weights", array if key is None else {key: array})
        if key is not None and key not in labels:
            yield f"{name}: {split}.labels has {_names(labels)}", "name the weights like the labels"
        elif not isinstance(array, np.ndarray):
            yield f"{name} is {type(array).__name__}", "make it an array with numpy.asarray()"
        elif not (_floats(array) or np.issubdtype(array.dtype, np.integer)):
            yield f"{name} has dtype {array.dtype}: expected numbers", "weights.astype('float32')"
        else:
            shape = (labels if key is None else labels[key]).shape
            yield from _wrong_weight_values(name, array, shape)


def _wrong_weight_values(name: str, array: np.ndarray, labels: tuple[int, ...]) -> Problems:
    if array.shape != labels[: array.ndim]:
        steps = f", or {labels}, one for each step" if len(labels) > 1 else ""
        problem = f"{name} has shape {array.shape}: expected ({len(array)},), one for each sample"
        yield f"{problem}{steps}", "weights[:, 0]" if array.shape[1:] == (1,) else None
    bad = first_not_finite(array, np.float32) if _floats(array) else None
    if bad := bad or first_outside(array, 0, np.inf):
        yield f"{_at(name, bad)} is {array[bad]}", "a weight is a number from 0"
    elif len(array) and not array.any():
        yield f"{name} are all 0, so no sample counts", "give some of them a weight"


def _wrong_class_numbers(name: str, labels: np.ndarray, classes: int) -> Problems:
    """Labels that number no class: jax would train on a wrong loss without an error."""
    if _floats(labels):
        expected = f"expected integers, as num_classes={classes} makes them class numbers"
        whole = bool((labels == np.floor(labels)).all())
        number = "task=regression" if classes == 1 else "num_classes=1 and task=regression"
        fix = "labels.astype('int64')" if whole else f"to predict a number, set {number}"
        yield f"{name} has dtype {labels.dtype}: {expected}", fix
    elif bad := first_outside(labels, 0, classes - 1):
        expected = f"expected a class number from 0 to {classes - 1}"
        from_one = extremes(labels) == (1, classes)
        fix = "classes start at 0: subtract 1" if from_one else f"num_classes is {classes}"
        yield f"{_at(name, bad)} is {labels[bad]}: {expected}", fix


def _at(name: str, index: tuple[int, ...]) -> str:
    return f"{name}[{', '.join(map(str, index))}]"


def _looks_unscaled(array: np.ndarray, scale: float) -> bool:
    # Other integers may be anything, such as word indices.
    pixels = array.dtype == np.uint8 and array.ndim > 2 and scale == 1
    if not pixels and not _floats(array):
        return False
    least, largest = extremes(array)
    return least >= 0 and PIXELS[0] <= largest <= PIXELS[1]
