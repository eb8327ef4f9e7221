"""Refuse a data set that a model would train on in silence, or stumble over later.

What a user's own function returns may be wrong in many ways. Frameworks find few of them, each in
its own words and some only at the end of an epoch: here it is told before the first step.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from dlrun.assembly.check_outputs import is_binary, kind, parts
from dlrun.data.dataset import Dataset, Split
from dlrun.data.tree import Arrays
from dlrun.errors import DlrunError
from dlrun.system.finite import extremes, first_not_finite

if TYPE_CHECKING:
    from dlrun.config.schema import Config

log = logging.getLogger("dlrun")

SPLITS = ("train", "validation", "test")
INT32 = np.iinfo(np.int32)
PIXELS = (128, 255)  # between which the largest of unscaled pixels lies

Problems: TypeAlias = Iterator[tuple[str, str | None]]


def check_data(data: Any, config: Config) -> None:
    """Check every array of every split, and warn of what looks unscaled.

    Args:
        data: What the config's data set has returned.
        config: For its data set and task.

    Raises:
        DlrunError: Naming the array, the index, the value and how to mend it.
    """
    target = config.data["_target_"]
    first = next(_problems(data, config), None)
    if first is not None:
        problem, hint = first
        raise DlrunError(f"data: {target}: {problem}", hint=hint)
    for name, array in _named("train", data.train):
        if name.startswith("train.inputs") and _looks_unscaled(array, data.scale):
            way = "divide by 255" if _floats(array) else "return Dataset(..., scale=255)"
            log.warning("%s goes up to %g: pixels that nothing scales? %s", name, array.max(), way)


def _problems(data: Any, config: Config) -> Problems:
    if not isinstance(data, Dataset):
        yield f"returned {type(data).__name__}", "return a dlrun.data.dataset.Dataset"
    for split in SPLITS:
        yield from _wrong_form(split, getattr(data, split))
    if not isinstance(data.scale, Real) or not 0 < float(data.scale) < np.inf:
        yield f"scale is {data.scale!r}", "a number, as 255 for pixels"
    yield from _wrong_classes(data)
    for split in ("train", "test"):
        if not len(getattr(data, split)):
            yield f"the {split} split is empty", "a run needs at least one sample in it"
    for split in ("validation", "test"):
        if len(getattr(data, split)):
            yield from _unlike_train(split, getattr(data, split), data.train)
    for split in SPLITS:
        yield from _wrong_values(split, getattr(data, split))
        yield from _wrong_labels(split, data, config)


def _named(split: str, samples: Split) -> list[tuple[str, np.ndarray]]:
    return [
        *_leaves(f"{split}.inputs", samples.inputs),
        *_leaves(f"{split}.labels", samples.labels),
    ]


def _leaves(part: str, arrays: Arrays) -> list[tuple[str, np.ndarray]]:
    """Arrays by the names that code has for them, as ``train.inputs['title']``."""
    if isinstance(arrays, Mapping):
        return [(f"{part}[{name!r}]", array) for name, array in arrays.items()]
    return [(part, arrays)]


def _floats(array: np.ndarray) -> bool:
    return np.issubdtype(array.dtype, np.floating)


def _wrong_form(split: str, samples: Any) -> Problems:
    if not isinstance(samples, Split):
        yield f"{split} is {type(samples).__name__}", "a dlrun.data.dataset.Split(inputs, labels)"
    for name, array in _named(split, samples):
        if not isinstance(array, np.ndarray):
            yield f"{name} is {type(array).__name__}", "make it an array with numpy.asarray()"
        elif not (_floats(array) or np.issubdtype(array.dtype, np.integer)):
            way = "array.astype('uint8')" if array.dtype == bool else "array.astype('float32')"
            if name.startswith(f"{split}.labels") and array.dtype != bool:
                way = "number the classes from 0, as numpy.unique(labels, return_inverse=True) does"
            yield f"{name} has dtype {array.dtype}: expected integers or floats", way


def _wrong_classes(data: Dataset) -> Problems:
    for name, classes in _leaves("num_classes", data.num_classes):  # type: ignore[arg-type]
        if not isinstance(classes, Integral) or isinstance(classes, bool) or classes < 1:
            yield f"{name} is {classes!r}", "how many classes there are, and 1 for a number"
    if (ours := _names(data.num_classes)) != (theirs := _names(data.train.labels)):
        yield f"num_classes is for {ours}, train.labels has {theirs}", "one for each of the labels"


def _names(tree: Any) -> str:
    return ", ".join(map(str, sorted(tree))) if isinstance(tree, Mapping) else "one array"


def _unlike_train(split: str, samples: Split, train: Split) -> Problems:
    for part in ("inputs", "labels"):
        ours, theirs = getattr(samples, part), getattr(train, part)
        if _names(ours) != _names(theirs):
            told = f"{split}.{part} has {_names(ours)}, train.{part} has {_names(theirs)}"
            yield told, "the same arrays in each split"
    pairs = zip(_by_name(split, samples), _by_name("train", train), strict=True)
    for (name, array), (other, of_train) in pairs:
        if array.shape[1:] != of_train.shape[1:]:
            told = f"{name} has shape {array.shape}, {other} {of_train.shape}"
            yield told, "they may differ in the number of samples alone"
        if ".labels" in name and _floats(array) != _floats(of_train):
            yield f"{name} has dtype {array.dtype}, {other} {of_train.dtype}", "one kind in all"


def _by_name(split: str, samples: Split) -> list[tuple[str, np.ndarray]]:
    return sorted(_named(split, samples), key=lambda named: named[0])


def _wrong_values(split: str, samples: Split) -> Problems:
    for name, array in _named(split, samples):
        if _floats(array):
            # A batch is float32, in which a finite double may be infinite.
            bad = first_not_finite(array, np.float32)
            way = "leave the sample out, or fill the value in"
        else:
            bad = None
            if ".labels" in name and array.dtype.itemsize > 2:
                bad = _first_outside(array, INT32.min, INT32.max)
            way = "labels are int32 in a batch"
        if bad is not None:
            yield f"{_at(name, bad)} is {array[bad]}", way


def _wrong_labels(split: str, data: Dataset, config: Config) -> Problems:
    labels, classes = getattr(data, split).labels, data.num_classes
    named: Mapping[Any, np.ndarray] = labels if isinstance(labels, Mapping) else {None: labels}
    counts: Mapping[Any, int] = classes if isinstance(classes, Mapping) else {None: classes}
    tasks = parts(config)
    for key, array in named.items():
        [(name, _)] = _leaves(f"{split}.labels", array if key is None else {key: array})
        loss = tasks[key].loss if key in tasks else None
        of_classes = counts[key] > 1 and array.shape[1:] in ((), (1,))
        if of_classes or kind(loss) == "sparse":
            yield from _wrong_numbers(name, array, counts[key])
        elif is_binary(loss) and (bad := _first_outside(array, 0, 1)):
            yield f"{_at(name, bad)} is {array[bad]}", "binary cross-entropy takes 0 to 1"


def _wrong_numbers(name: str, labels: np.ndarray, classes: int) -> Problems:
    """Class numbers that are none: jax would train on a wrong loss in silence."""
    if _floats(labels):
        told = f"num_classes={classes} makes them class numbers: expected integers"
        whole = bool((labels == np.floor(labels)).all())
        way = "labels.astype('int64')" if whole else "num_classes=1 for a number to predict"
        yield f"{name} has dtype {labels.dtype}; {told}", way
    elif bad := _first_outside(labels, 0, classes - 1):
        told = f"expected a class number from 0 to {classes - 1}"
        from_one = extremes(labels) == (1, classes)
        way = "classes count from 0: subtract 1" if from_one else f"num_classes is {classes}"
        yield f"{_at(name, bad)} is {labels[bad]}: {told}", way


def _first_outside(array: np.ndarray, low: int, high: int) -> tuple[int, ...] | None:
    least, largest = extremes(array)
    if low <= least and largest <= high:
        return None
    return tuple(int(axis) for axis in np.argwhere((array < low) | (array > high))[0])


def _at(name: str, index: tuple[int, ...]) -> str:
    return f"{name}[{', '.join(map(str, index))}]"


def _looks_unscaled(array: np.ndarray, scale: float) -> bool:
    # Other integers may be anything, as the numbers of letters in a text.
    pixels = array.dtype == np.uint8 and array.ndim > 2 and scale == 1
    if not pixels and not _floats(array):
        return False
    least, largest = extremes(array)
    return least >= 0 and PIXELS[0] <= largest <= PIXELS[1]
