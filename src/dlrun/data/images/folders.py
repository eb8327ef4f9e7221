"""Images in folders: a folder for each class, also below folders for the splits."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from dlrun.data.draw_splits import split_rows
from dlrun.data.files.own_files import near_path
from dlrun.data.images import SUFFIXES, is_image
from dlrun.data.splits import NAMES, TEST, TRAIN, VALIDATION, SplitOptions, resolve_way
from dlrun.data.targets import Target
from dlrun.errors import DlrunError
from dlrun.system.files import is_dir, is_file

LABEL = "label"  # the name of the target
WAYS = ("auto", "random", "stratified", "hash", "files")


@dataclass(frozen=True)
class Folders:
    """A folder for each class.

    Args:
        path: The folder of these folders.
        kind: ``classification`` or ``binary_classification``; None is found.
        options: How to split the images.
    """

    path: str
    kind: str | None
    options: SplitOptions

    @cached_property
    def _files(self) -> _Content:
        return _find(self.path)

    @property
    def root(self) -> Path:
        """What the paths of :attr:`names` are relative to."""
        return Path(self.path)

    @property
    def names(self) -> list[str]:
        """The images, relative to the root and sorted."""
        return self._files.names

    @property
    def notes(self) -> list[str]:
        """What is left out, one line each."""
        return self._files.notes

    @cached_property
    def targets(self) -> dict[str | None, Target]:
        """The one output."""
        classes = self._files.classes
        found = "binary_classification" if len(classes) == 2 else "classification"
        if self.kind == "binary_classification" and len(classes) != 2:
            raise DlrunError(
                f"data.kind=binary_classification: {self.path} has {len(classes)} classes, not two",
                hint="data.kind=classification",
            )
        if self.kind not in (None, "classification", "binary_classification"):
            raise DlrunError(
                f"data.kind={self.kind}: folders are classes",
                hint="data.labels=TABLE names a table with the numbers or labels of each image",
            )
        return {None: Target(self.kind or found, (LABEL,), classes)}

    @property
    def way(self) -> SplitOptions:
        """The split, with ``auto`` resolved."""
        options = self.options
        if options.way not in WAYS:
            raise DlrunError(
                f"data.split={options.way}: folders of images have no columns; expected"
                f" {', '.join(WAYS)}",
                hint="data.labels=TABLE names a table with a row for each image",
            )
        if options.way == "auto" and options.folds is None and self._files.splits is not None:
            return replace(options, way="files")
        return resolve_way(options, (), (), classes=True)

    @cached_property
    def splits(self) -> np.ndarray:
        """The split of each image, ``(images,)`` uint8."""
        way, found = self.way, self._files
        labels = self.labels(np.arange(len(self.names)), self.targets)[None]
        if way.way == "files" and found.splits is None:
            raise DlrunError(
                f"data.split=files: {self.path} has no folders train, validation and test above"
                " those of the classes",
                hint="data.split=stratified",
            )
        if way.way != "files":
            values = self.names if way.way == "hash" else None
            return split_rows(len(labels), way, values=values, classes=labels)
        splits = np.asarray(found.splits, np.uint8)
        if TEST in splits:
            return split_rows(len(labels), way, files=splits)
        way.refuse_unused(splits)
        # Drawn from what is there to train on.
        there = np.flatnonzero(splits == TRAIN)
        share = 0.0 if VALIDATION in splits else way.validation
        drawn = replace(way, way="stratified", validation=share)
        splits[there] = split_rows(len(there), drawn, classes=labels[there])
        return splits

    def fit(self, rows: np.ndarray) -> dict[str | None, Target]:
        """The targets, fitted to the images of the training split."""
        numbers = self.labels(rows, self.targets)[None]
        counts = np.bincount(numbers, minlength=len(self._files.classes))
        if (missing := np.flatnonzero(counts == 0)).size:
            name = self._files.classes[missing[0]]
            raise DlrunError(
                f"data: class '{name}' has no image to train on",
                hint="remove its folder, or raise data.limit, or change data.seed",
            )
        return self.targets

    def labels(
        self, rows: np.ndarray, targets: Mapping[str | None, Target]
    ) -> dict[str | None, np.ndarray]:
        """The labels of images: class numbers, ``(rows,)`` int32.

        Raises:
            DlrunError: If one is of a class that the target does not have.
        """
        found, classes = self._files, targets[None].classes
        if unknown := [name for name in found.classes if name not in classes]:
            raise DlrunError(
                f"data: class '{unknown[0]}' of {self.path} is none of the run's:"
                f" {', '.join(classes[:5])}{', ...' if len(classes) > 5 else ''}"
            )
        numbers = np.asarray([classes.index(name) for name in found.classes], np.int32)
        of_rows: np.ndarray = numbers[found.labels[rows]]
        return {None: of_rows}

    def explicit(self) -> dict[str, Any]:
        """The arguments that make what was found explicit."""
        return {"kind": self.targets[None].kind, "split": self.way.way}

    def place(self, row: int) -> str:
        """Where an image is named, for messages."""
        return ""


@dataclass(frozen=True)
class _Content:
    names: list[str]
    classes: tuple[str, ...]
    labels: np.ndarray
    splits: list[int | None] | None
    notes: list[str]


def _find(path: str) -> _Content:
    """The images of a folder, with their classes and splits.

    Raises:
        DlrunError: If there are none, or a class can't be learned.
    """
    root = Path(path)
    images, others = _walk(root, path)
    parts = [name.split("/") for name in images]
    in_root = [name for name, part in zip(images, parts, strict=True) if len(part) == 1]
    if len(in_root) == len(images):
        count = f"{len(images):,} images" if len(images) > 1 else "an image"
        what = f"{count}, but no folder for each class" if images else "no images"
        raise DlrunError(
            f"data.path={path}: has {what}",
            hint=f"expected {root / 'CLASS' / 'IMAGE.jpg'}, or data.labels=TABLE, a table of paths"
            " and labels"
            if images
            else f"expected one of {', '.join(SUFFIXES)}, as in {root / 'CLASS' / 'IMAGE.jpg'}",
        )
    below = [part for part in parts if len(part) > 1]
    depth = 1 if _are_splits(below) else 0
    kept = [
        (name, part)
        for name, part in zip(images, parts, strict=True)
        if len(part) > depth + 1 and (not depth or _split_of(part) is not None)
    ]
    names, folders = [name for name, _ in kept], [part[depth] for _, part in kept]
    classes = tuple(sorted(set(folders)))
    counts = Counter(folders)
    if len(classes) < 2:
        raise DlrunError(
            f"data.path={path}: has one class, '{classes[0]}', expected at least two",
            hint="a folder for each class, or data.labels=TABLE, a table of paths and labels",
        )
    if few := [name for name in classes if counts[name] < 2]:
        more = f"; {len(few)} such classes" if len(few) > 1 else ""
        raise DlrunError(
            f"data.path={path}: class '{few[0]}' has one image, which can't be both in training and"
            f" in the test{more}",
            hint="add images of it, or remove its folder",
        )
    number = {name: n for n, name in enumerate(classes)}
    outside = sorted({*images} - {*names})
    return _Content(
        names,
        classes,
        np.asarray([number[name] for name in folders], np.int64),
        [_split_of(part) for _, part in kept] if depth else None,
        _notes(root, others, outside),
    )


def _walk(root: Path, path: str) -> tuple[list[str], list[str]]:
    """The images and the other files below a folder, relative to it and sorted."""
    if is_file(root):
        raise DlrunError(
            f"data.path={path}: is a file, expected a folder of images", hint=f"{root.parent}"
        )
    if not is_dir(root):
        raise DlrunError(f"data.path={path}: no such folder", hint=near_path(root, folders=True))
    images: list[str] = []
    others: list[str] = []
    try:
        for place, folders, files in os.walk(root, followlinks=True, onerror=_raise):
            # Of editors and operating systems.
            folders[:] = sorted(f for f in folders if not f.startswith((".", "__MACOSX")))
            relative = Path(place).relative_to(root)
            for file in files:
                if not file.startswith("."):
                    found = images if is_image(file) else others
                    found.append((relative / file).as_posix())
    except OSError as error:
        raise DlrunError(f"data.path={error.filename} can't be read: {error.strerror}") from error
    return sorted(images), sorted(others)


def _raise(error: OSError) -> None:
    raise error


def _are_splits(parts: list[list[str]]) -> bool:
    """Whether the first folders are train, validation and test, rather than classes.

    Beside two of them, another folder is neither: a data set may have one of images without labels.
    """
    codes = {_split_of(part) for part in parts}
    has_classes = any(_split_of(part) == TRAIN and len(part) > 2 for part in parts)
    return has_classes and (None not in codes or len(codes) > 2)


def _split_of(part: list[str]) -> int | None:
    return NAMES.get(part[0].lower())


def _notes(root: Path, others: list[str], outside: list[str]) -> list[str]:
    notes = []
    for files, why in ((others, "no images by their names"), (outside, "in no folder of a class")):
        if files:
            count = f"{len(files):,} files are" if len(files) > 1 else "1 file is"
            notes.append(f"{count} left out, {why}: {root / files[0]}")
    used = {part for name in others for part in name.split("/")[:-1]}
    empty = [f.name for f in sorted(root.iterdir()) if is_dir(f) and not any(f.iterdir())]
    if empty := [name for name in empty if name not in used and not name.startswith(".")]:
        notes.append(f"folder '{empty[0]}' is empty, and no class")
    return notes
