"""Some images of each class of a data set, to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from dlrun.data.dataset import Dataset
from dlrun.data.tree import Arrays

CLASSES, EACH = 12, 8  # at most
SIDE = 512  # pixels; a page does not show larger images
Pictures = Mapping[str, Sequence[np.ndarray]]


@runtime_checkable
class HasPictures(Protocol):
    """A source of images."""

    def pictures(self) -> Pictures:
        """Images by class, ``(height, width, 1 or 3)`` uint8; by an empty text without classes.

        There are at most :data:`EACH` images of a class, and :data:`CLASSES` classes.
        """


def pictures_of(data: object) -> Pictures:
    """The images of a source or of a data set; none if its samples are not images."""
    if isinstance(data, HasPictures):
        return data.pictures()
    if isinstance(data, Dataset):
        labels = data.train.labels
        names = labels if isinstance(labels, np.ndarray) and labels.dtype.kind in "iu" else None
        return pictures_of_arrays(data.train.inputs, names)
    return {}


def pictures_of_arrays(inputs: Arrays, labels: np.ndarray | None) -> Pictures:
    """The images among arrays.

    Args:
        inputs: Images are ``(samples, height, width)`` or ``(samples, height, width, 1 or 3)``.
        labels: The class of each, ``(samples,)`` or ``(samples, 1)``; None for no classes.
    """
    if isinstance(inputs, Mapping) or not _are_images(inputs):
        return {}
    by_class = labels is not None and labels.size == len(inputs)
    names = labels.reshape(-1) if by_class and labels is not None else np.full(len(inputs), "")
    chosen = choose(names)
    scale = _scale(inputs, [row for rows in chosen.values() for row in rows])
    return {name: [_picture(inputs[row], scale) for row in rows] for name, rows in chosen.items()}


def pictures_at(inputs: Arrays, rows: Sequence[int]) -> list[np.ndarray]:
    """The images of some rows, as :func:`pictures_of_arrays` shows them; none if they are none."""
    if isinstance(inputs, Mapping) or not rows or not _are_images(inputs):
        return []
    scale = _scale(inputs, rows)
    return [_picture(inputs[row], scale) for row in rows]


def choose(names: np.ndarray) -> dict[str, list[int]]:
    """The first rows of each class, by the name of the class.

    Args:
        names: The class of each row, ``(rows,)``; all empty for no classes, of which there are as
            many rows as of all classes.
    """
    classes = np.unique(names)[:CLASSES]
    each = EACH * CLASSES // 2 if len(classes) == 1 and not str(classes[0]) else EACH
    return {str(name): np.flatnonzero(names == name)[:each].tolist() for name in classes}


def _are_images(inputs: np.ndarray) -> bool:
    sides = inputs.shape[1:3]
    is_image = inputs.ndim == 3 or (inputs.ndim == 4 and inputs.shape[3] in (1, 3))
    return is_image and len(inputs) > 0 and min(sides) > 3 and max(sides) <= SIDE


def _scale(inputs: np.ndarray, rows: Sequence[int]) -> tuple[float, float]:
    """What is black, and the range up to white."""
    some = np.asarray(inputs[sorted(rows)], np.float64)
    low, high = float(some.min()), float(some.max())
    if inputs.dtype == np.uint8 and high > 127:
        return 0.0, 255.0
    return low, (high - low) or 1.0


def _picture(image: np.ndarray, scale: tuple[float, float]) -> np.ndarray:
    low, size = scale
    whole = np.asarray(image, np.float64).reshape(*image.shape[:2], -1)
    pixels: np.ndarray = np.round((whole - low) / size * 255).astype(np.uint8)
    return pixels
