"""Folders that TensorFlow Datasets has prepared: where they are, and what their samples hold."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlrun.errors import DlrunError, describe, list_names

INFO, FEATURES = "dataset_info.json", "features.json"
IMAGE, LABEL, TEXT = "image", "label", "text"
TRUTH, INTEGER, NUMBER = "truth", "integer", "number"
OWN = "tensorflow_datasets.core.features."  # where tfds defines its kinds of features
DEPTH = 3  # folders above dataset_info.json: a name, perhaps a config, a version
MAX_VALUES = 1000  # of a vector, each of which becomes a column


@dataclass(frozen=True)
class Feature:
    """A feature of a sample.

    Args:
        name: The names that lead to it, joined by ``/``.
        kind: image, label, text, truth, integer or number; else tfds' name for what dlrun does not
            read.
        shape: Of one sample; None is a size that differs.
        dtype: Such as uint8.
    """

    name: str
    kind: str
    shape: tuple[int | None, ...] = ()
    dtype: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """Its columns in a table: one for each value of a vector; none if a table can't hold it."""
        if self.kind not in (LABEL, TEXT, TRUTH, INTEGER, NUMBER):
            return ()
        if not self.shape:
            return (self.name,)
        [size, *others] = self.shape
        if self.kind == TEXT or others or size is None or not 0 < size <= MAX_VALUES:
            return ()
        return tuple(f"{self.name}_{number}" for number in range(size))

    @property
    def holds(self) -> str:
        """What it holds, in words."""
        if self.kind == IMAGE:
            return "images"
        form = ", ".join("?" if size is None else str(size) for size in self.shape)
        return f"{self.kind} of shape ({form})" if self.shape else self.kind


@dataclass(frozen=True)
class PreparedFolder:
    """A prepared data set.

    Args:
        folder: With its ``dataset_info.json``.
        name: Its name and version.
        features: Of each sample.
        splits: How many samples each split has.
        keys: The features that tfds calls the input and the target, where it says so.
    """

    folder: Path
    name: str
    features: tuple[Feature, ...]
    splits: Mapping[str, int]
    keys: tuple[str | None, str | None]


def find_folder(
    name: str | None, path: str | None, config: str | None, version: str | None
) -> Path | None:
    """The folder of a prepared data set, of the newest version; None if it is not there.

    Args:
        name: Of the data set, in ``path``.
        path: The folder of a data set, or of several; None is tfds' own.
        config: Which of several of this name.
        version: Such as 1.0.0; None is the newest.

    Raises:
        DlrunError: If there are several to choose from, or another version.
    """
    root = data_dir(path)
    if name is None and (root / INFO).is_file():
        return root
    base = root / (name or "")
    found = [
        file.parent
        for depth in range(1, DEPTH + 1 if name is None else DEPTH)
        for file in sorted(base.glob("*/" * depth + INFO))
        if re.fullmatch(r"\d+\.\d+\.\d+", file.parent.name)
    ]
    if config is not None:
        found = [folder for folder in found if folder.parent.name == config]
    places = sorted({folder.parent for folder in found})
    if len(places) > 1:
        names = [str(place.relative_to(base)) for place in places if place != base]
        key = "config" if name is not None else "name"
        raise DlrunError(
            f"data: {base} holds several data sets: {list_names(names, 8)}",
            hint=f"data.{key}={names[0]}",
        )
    chosen = [folder for folder in found if version in (None, folder.name)]
    if found and not chosen:
        there = ", ".join(folder.name for folder in found)
        raise DlrunError(f"data.version={version}: {places[0]} has version {there}")
    return max(chosen, key=lambda folder: [*map(int, folder.name.split("."))], default=None)


def data_dir(path: str | None) -> Path:
    """``path``, or where tfds keeps its data sets."""
    if path is not None:
        return Path(path)
    return Path(os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()


def read_folder(folder: Path) -> PreparedFolder:
    """What a folder says of its samples, without importing tfds.

    Raises:
        DlrunError: If it does not say it, or has features of somebody's own, which are code.
    """
    try:
        info = json.loads((folder / INFO).read_text(encoding="utf-8"))
        root = json.loads((folder / FEATURES).read_text(encoding="utf-8"))
        _refuse_code(root)
        splits = {
            split["name"]: sum(int(length) for length in split.get("shardLengths", ()))
            for split in info.get("splits", ())
        }
        features = tuple(_features(root, ""))
        name = f"{info['name']} {info.get('version', '')}".rstrip()
        keys = _keys(info.get("supervisedKeys", {}))
    except FileNotFoundError as error:
        raise DlrunError(
            f"data: {folder} has no {Path(error.filename).name}",
            hint="prepare the data set anew: data.download=true, in another data.path",
        ) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DlrunError(f"data: {folder} can't be read: {describe(error):.200}") from error
    return PreparedFolder(folder, name, features, splits, keys)


def _refuse_code(node: Any) -> None:
    """Refuse features that tfds would import from anywhere: a data set is not code to run."""
    if isinstance(node, list):
        for value in node:
            _refuse_code(value)
    if not isinstance(node, Mapping):
        return
    for key, value in node.items():
        is_class = key in ("pythonClassName", "type") and isinstance(value, str)
        if is_class and not value.startswith(OWN):
            raise DlrunError(
                f"data: a feature is of the class {value!r:.80}, which would be imported",
                hint="only the features of tensorflow_datasets are read",
            )
        _refuse_code(value)


def _features(node: Mapping[str, Any], name: str) -> Iterator[Feature]:
    kind = str(node.get("pythonClassName") or node["type"]).rpartition(".")[2]
    # Data sets of older versions have all that is said below "content".
    if kind == "FeaturesDict":
        content = _content(node, "featuresDict")
        for key, value in (content.get("features") or content).items():
            yield from _features(value, f"{name}/{key}" if name else key)
    elif kind == "ClassLabel":
        yield Feature(name, LABEL)
    elif kind == "Text":
        yield Feature(name, TEXT)
    elif kind == "Image" and "/" not in name:
        content = _content(node, "image")
        yield Feature(name, IMAGE, _shape(content), content.get("dtype", "uint8"))
    elif kind in ("Tensor", "Scalar"):
        content = _content(node, "tensor")
        dtype = str(content.get("dtype", "float32"))
        yield Feature(name, _kind(dtype), _shape(content), dtype)
    else:
        yield Feature(name, kind)


def _content(node: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    content = node.get(key, node.get("content", {}))
    if isinstance(content, str):  # for a time, it was JSON in JSON
        content = json.loads(content)
    return content  # type: ignore[no-any-return]


def _shape(content: Mapping[str, Any]) -> tuple[int | None, ...]:
    shape = content.get("shape") or ()
    sizes = shape.get("dimensions", ()) if isinstance(shape, Mapping) else shape
    return tuple(None if size is None or int(size) < 0 else int(size) for size in sizes)


def _kind(dtype: str) -> str:
    if dtype == "bool":
        return TRUTH
    if re.fullmatch(r"u?int\d+", dtype):
        return INTEGER
    return NUMBER if re.fullmatch(r"b?float\d+", dtype) else TEXT


def _keys(keys: Mapping[str, Any]) -> tuple[str | None, str | None]:
    if "tuple" in keys:
        pair = [item.get("featureKey") for item in keys["tuple"]["items"][:2]]
        return (*pair, None, None)[:2]
    return keys.get("input"), keys.get("output")
