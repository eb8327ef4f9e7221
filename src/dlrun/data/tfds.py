"""Data sets of TensorFlow Datasets: tables, texts and images, from folders that it prepared."""

from __future__ import annotations

import logging
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlrun.data.arrays import ArraySource, array_source, options_of_arrays
from dlrun.data.cache import cache_entry, content_key, key_of, limit_of
from dlrun.data.preprocessing.images import parse_size
from dlrun.data.samples import Samples
from dlrun.data.splits import NAMES, TEST, TRAIN
from dlrun.data.tabular.arrow_table import ArrowTable, arrow_table
from dlrun.data.tfds_folders.folder import (
    IMAGE,
    Feature,
    PreparedFolder,
    data_dir,
    find_folder,
    read_folder,
)
from dlrun.data.tfds_folders.process import download_set, read_set
from dlrun.data.tfds_folders.reader import IMAGES, ROWS
from dlrun.errors import DlrunError

if TYPE_CHECKING:
    import pyarrow as pa

log = logging.getLogger("dlrun")

SPLIT = "split"
USUAL = 128  # pixels of images whose size differs


def tfds(
    *,
    target: str | Sequence[str] | None = None,
    name: str | None = None,
    path: str | None = None,
    config: str | None = None,
    version: str | None = None,
    download: bool = False,
    size: int | Sequence[int] | None = None,
    drop: Sequence[str] = (),
    **options: Any,
) -> ArrowTable | ArraySource:
    """A data set of ``tensorflow_datasets``; one with a test split keeps its splits.

    One with images gives arrays of them and the target. Any other is a table: texts, numbers and
    the names of classes, a column for each value of a vector. It is read by a process of its own,
    which needs no TensorFlow, and kept in the data cache.

    Args:
        target: The feature to predict, or several; None takes the one that the data set names.
        name: Of the data set, perhaps with its config and version: ``mnist``, ``glue/cola:2.0.0``.
        path: The folder of a prepared data set, or of several; None is ``TFDS_DATA_DIR``, or
            ``~/tensorflow_datasets``.
        config: Which of several of this name.
        version: None is the newest that is there.
        download: Let tfds download and prepare it if it is not there.
        size: Height and width of the images, or one number for both; None is theirs, or 128 if
            these differ.
        drop: Features to leave out.
        **options: Others of :func:`dlrun.data.table.table`.

    Raises:
        DlrunError: If the data set is not there, or holds what can't be read.
    """
    prepared = read_folder(_folder(name, path, config, version, download))
    given = {"name": name, "path": path, "config": config, "version": version, "size": size}
    arguments = {key: value for key, value in given.items() if value is not None}
    features = [feature for feature in prepared.features if feature.name not in drop]
    chosen = target or prepared.keys[1] or ()
    if any(feature.kind == IMAGE for feature in features):
        targets = [chosen] if isinstance(chosen, str) else list(chosen)
        return _images(prepared, features, targets, size, arguments, options)
    if size is not None:
        raise DlrunError(f"data.size={size}: {prepared.name} has no images")
    return _table(prepared, chosen, drop, arguments, options)


def _folder(
    name: str | None, path: str | None, config: str | None, version: str | None, download: bool
) -> Path:
    if name is None and path is None:
        raise DlrunError("data=tfds takes data.name or data.path", hint="data.name=mnist")
    if name is not None:
        # No namespace: those of tfds name code that others have written.
        parts = re.fullmatch(r"(\w+)(?:/([\w.+-]+))?(?::(\d+\.\d+\.\d+))?", name)
        if parts is None:
            raise DlrunError(
                f"data.name={name}: expected NAME, NAME/CONFIG or NAME:VERSION",
                hint="data.name=mnist",
            )
        name, config, version = parts[1], config or parts[2], version or parts[3]
    if (folder := find_folder(name, path, config, version)) is not None:
        return folder
    if name is None:
        raise DlrunError(
            f"data.path={path}: no data set that tensorflow_datasets prepared",
            hint="the folder of a version, such as mnist/3.0.1, or the one that holds mnist",
        )
    root = data_dir(path)
    if not download:
        wanted = "/".join(part for part in (name, config, version) if part)
        raise DlrunError(
            f"data.name={name}: there is no prepared {root / wanted}, and nothing is downloaded",
            hint="data.path=FOLDER that holds it, or data.download=true",
        )
    download_set(name, config, version, root)
    if (folder := find_folder(name, path, config, version)) is None:
        raise DlrunError(f"data.name={name}: tensorflow_datasets has prepared nothing in {root}")
    return folder


def _table(
    prepared: PreparedFolder,
    target: str | Sequence[str],
    drop: Sequence[str],
    arguments: Mapping[str, Any],
    options: Mapping[str, Any],
) -> ArrowTable:
    for feature in prepared.features:
        if not feature.columns and feature.name not in drop:
            raise DlrunError(
                f"data: feature '{feature.name}' of {prepared.name} holds {feature.holds}, which a"
                " table can't",
                hint=f"data.drop=[{feature.name}]",
            )
    columns = {feature.name: feature.columns for feature in prepared.features if feature.columns}
    empty = [feature.name for feature in prepared.features if not feature.columns]
    splits = _known_splits(prepared)

    def load() -> pa.Table:
        import pyarrow as pa

        _tell_left_out(prepared)
        with tempfile.TemporaryDirectory() as out:
            read = [feature for feature in prepared.features if feature.columns]
            read_set(prepared, read, splits, None, Path(out))
            with pa.OSFile(str(Path(out) / ROWS)) as file:
                rows = pa.ipc.open_file(file).read_all()
        for feature in empty:  # which data.drop names, so it has to be there
            rows = rows.append_column(feature, pa.nulls(len(rows), pa.string()))
        if _has_test(splits) and SPLIT not in rows.schema.names:
            names = [split for split, size in splits.items() for _ in range(size)]
            rows = rows.append_column(SPLIT, pa.array(names, pa.string()))
        return rows

    return arrow_table(
        f"tfds' {prepared.name}",
        load,
        target=target,
        key=_key(prepared),
        arguments=arguments,
        drop=[column for name in drop for column in columns.get(name, (name,))],
        **options,
    )


def _images(
    prepared: PreparedFolder,
    features: Sequence[Feature],
    targets: Sequence[str],
    size: int | Sequence[int] | None,
    arguments: Mapping[str, Any],
    options: Mapping[str, Any],
) -> ArraySource:
    image = _input(prepared, features)
    named = {feature.name: feature for feature in features}
    for name in targets:
        if name not in named or named[name].columns != (name,):
            kinds = [feature.name for feature in features if feature.columns == (feature.name,)]
            raise DlrunError(
                f"data.target={name}: {prepared.name} has no such feature to predict",
                hint=f"one of {', '.join(kinds)}" if kinds else None,
            )
    if not targets:
        raise DlrunError(
            f"data: {prepared.name} names no target",
            hint="data.target=FEATURE, one of "
            + ", ".join(name for name in named if name != image.name),
        )
    left = [name for name in named if name not in (image.name, *targets)]
    shape = _shape(image, size)
    splits = _known_splits(prepared)
    kept = [image, *(named[name] for name in targets)]
    limit = limit_of(options.get("cache_gb", 10.0))

    def load() -> Samples:
        import pyarrow as pa

        _tell_left_out(prepared, left)

        def make(directory: Path) -> None:
            read_set(prepared, kept, splits, {"dtype": image.dtype, "shape": shape}, directory)

        key = key_of(*_key(prepared), image.name, list(targets), shape)
        entry = cache_entry(key, make, limit_bytes=limit)
        with pa.OSFile(str(entry / ROWS)) as file:
            rows = pa.ipc.open_file(file).read_all()
        columns = [np.asarray(rows.column(name).to_pylist()) for name in targets]
        return Samples(
            np.load(entry / IMAGES, mmap_mode="r"),
            columns[0] if len(columns) == 1 else np.stack(columns, axis=1),
            names=list(targets),
            splits=splits if _has_test(splits) else {},
        )

    return array_source(
        f"tfds' {prepared.name}",
        load,
        scale=float(np.iinfo(image.dtype).max) if image.dtype.startswith("uint") else 1.0,
        arguments={**arguments, "target": list(targets) if len(targets) > 1 else targets[0]},
        **options_of_arrays(options),
    )


def _input(prepared: PreparedFolder, features: Sequence[Feature]) -> Feature:
    images = [feature for feature in features if feature.kind == IMAGE]
    named = [feature for feature in images if feature.name == prepared.keys[0]]
    if len(images) > 1 and not named:
        raise DlrunError(
            f"data: {prepared.name} has several images for each sample:"
            f" {', '.join(feature.name for feature in images)}",
            hint=f"data.drop=[{','.join(feature.name for feature in images[1:])}]",
        )
    return (named or images)[0]


def _shape(image: Feature, size: int | Sequence[int] | None) -> tuple[int, int, int]:
    """Height, width and channels of the images."""
    height, width, channels = (*image.shape, None, None, None)[:3]
    sides = (height or USUAL, width or USUAL) if size is None else parse_size(size)
    if sides != (height, width) and (image.dtype != "uint8" or channels not in (1, 3)):
        raise DlrunError(
            f"data: the images '{image.name}' are {image.dtype} with {channels} channels: only"
            " those of 8 bits, grey or colour, are brought to one size"
        )
    return *sides, channels or 3


def _known_splits(prepared: PreparedFolder) -> dict[str, int]:
    """The splits to read, with their number of samples."""
    known = {split: size for split, size in prepared.splits.items() if split.lower() in NAMES}
    if not known:
        found = ", ".join(prepared.splits) or "none"
        raise DlrunError(
            f"data: {prepared.name} has no split to train, to validate or to test on, but {found}"
        )
    return known


def _tell_left_out(prepared: PreparedFolder, features: Sequence[str] = ()) -> None:
    splits = [split for split in prepared.splits if split.lower() not in NAMES]
    for what, names in (("split", splits), ("feature", features)):
        if names:
            log.info("data   left out: the %s %s", what, ", ".join(names))


def _has_test(splits: Mapping[str, int]) -> bool:
    return {NAMES[split.lower()] for split in splits} >= {TRAIN, TEST}


def _key(prepared: PreparedFolder) -> list[Any]:
    files = sorted(file for file in prepared.folder.iterdir() if file.is_file())
    return ["tfds", content_key(files)]
