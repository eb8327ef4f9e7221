"""Image files, for a run that was trained on images: a file each, or a table of their paths."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from dlrun.data.files.own_files import find_samples, folders_of
from dlrun.data.images import SUFFIXES, is_image
from dlrun.data.images.decode import BrokenImageError, decode
from dlrun.data.images.decode_all import each
from dlrun.data.images.folders import LABEL
from dlrun.data.preprocessing.images import Images
from dlrun.data.readers import (
    STDIN,
    Part,
    Request,
    encode_labels,
    refuse_ids,
    required_targets,
    targets_of,
    without_target_note,
)
from dlrun.data.readers.arrays import SUFFIXES as ARRAYS
from dlrun.data.table_formats import find_files, format_of
from dlrun.data.tabular.column_values import to_objects
from dlrun.data.tabular.encode_rows import BatchColumns, wrong_targets
from dlrun.data.tabular.row_names import find_ids
from dlrun.data.targets import columns_of
from dlrun.data.tree import Arrays, leaves, tree_map
from dlrun.errors import DlrunError
from dlrun.system.files import is_file
from dlrun.system.packages import require_package


def kinds(request: Request) -> list[str]:
    """See :mod:`dlrun.data.readers`."""
    return list(SUFFIXES) if request.spec.step(Images) else []


def takes(request: Request) -> bool:
    """See :mod:`dlrun.data.readers`."""
    is_other = request.source.suffix in ARRAYS or str(request.source) == STDIN
    return request.spec.step(Images) is not None and not is_other


class Reader:
    """See :class:`dlrun.data.readers.Reader`.

    The class of an image in a folder is the folder within it. A table has a column of paths, which
    are relative to the table, and the targets' columns.
    """

    def __init__(self, request: Request) -> None:
        require_package("PIL", "an image", "data")
        form = request.spec.step(Images)
        assert form is not None, "takes() says so"
        self._request, self._form = request, form
        self._image = ""  # the column of the paths
        if request.array is not None:
            raise DlrunError(
                f"--array {request.array}: {request.source} is no .npz", hint="leave it out"
            )
        is_table = request.source.suffix and format_of(request.source) is not None
        paths, columns = self._read_table() if is_table else self._find()
        self._ids = {} if request.labels else self._find_ids(columns)
        self._rows, self._labels = np.arange(len(paths)), None
        self._wrong: dict[int, str] = {}
        if request.labels:
            self._rows, self._labels, self._wrong = _with_target(
                request,
                columns,
                self._rows,
                (lambda row: f"row {row + 1:,}") if is_table else paths.__getitem__,
            )
        self._without_target = len(paths) - len(self._rows)
        self._paths = [paths[row] for row in self._rows]
        self.files: Sequence[Path] = [request.source] if is_table else self._paths

    def parts(self) -> Iterator[Part]:
        """See :class:`dlrun.data.readers.Reader`."""
        results = each(partial(decode, form=self._form), self._paths, "images decoded")
        size = self._request.rows
        for first in range(0, len(self._paths), size):
            paths = self._paths[first : first + size]
            images = np.empty((len(paths), *self._form.shape), np.uint8)
            right = np.ones(len(paths), bool)
            wrong: dict[int, str] = {}
            for place, result in enumerate(islice(results, len(paths))):
                if isinstance(result, BrokenImageError):
                    right[place], wrong[place] = False, f"can't be decoded: {result.reason}"
                else:
                    images[place] = result
                if (why := self._wrong.get(first + place)) is not None:
                    right[place], wrong[place] = False, why
            at = np.arange(first, first + len(paths))
            labels = self._labels
            yield Part(
                images if right.all() else images[right],
                self._rows[at] + 1,
                self._request.key,
                wrong,
                {
                    "file": [str(path) for path in paths],
                    **{name: values[first : first + size] for name, values in self._ids.items()},
                },
                None if labels is None else tree_map(itemgetter(at[right]), labels),
                files=paths,
            )

    def notes(self) -> list[str]:
        """See :class:`dlrun.data.readers.Reader`."""
        return without_target_note(self._request, self._without_target)

    def _find_ids(self, columns: Mapping[str, Any]) -> dict[str, list[Any]]:
        """The values that name the images, by column of the table."""
        request, label = self._request, f"{self._request.key} {self._request.source}"
        if missing := [name for name in request.ids if name not in columns]:
            raise DlrunError(
                f"{label} has no column '{missing[0]}', which --id names",
                hint=f"it has {', '.join(list(columns)[:12])}",
            )
        used = {self._image, *columns_of(targets_of(request.spec).values())}
        found = request.ids or find_ids(columns, used)
        return {name: list(to_objects(columns[name])) for name in found}

    def _find(self) -> tuple[list[Path], Mapping[str, Any]]:
        """The files that the user names, and the classes that their folders are."""
        import pyarrow as pa

        request = self._request
        refuse_ids(request)
        paths = find_samples(request.source, SUFFIXES, request.key)
        if not request.labels:
            return paths, {}
        return paths, {LABEL: pa.array(folders_of(request.source, paths, request.key))}

    def _read_table(self) -> tuple[list[Path], Mapping[str, Any]]:
        """The files that a table names, and its columns."""
        request = self._request
        label = f"{request.key} {request.source}"
        table = str(request.source)
        columns = find_files(table, request.format, request.table, key=f"{request.key} ").read()
        name = request.image or _image_column(columns, label)
        if name not in columns:
            raise DlrunError(
                f"{label} has no column '{name}', which names the images",
                hint=f"it has {', '.join(list(columns)[:12])}",
            )
        self._image = name
        names = columns[name].to_pylist()
        if missing := [row for row, value in enumerate(names, 1) if not isinstance(value, str)]:
            raise DlrunError(
                f"{label}: row {missing[0]:,}: column '{name}' names no file",
                hint="correct it, or remove the row",
            )
        folder = request.source.parent
        paths = [folder / value for value in names]
        if paths and not any(map(is_file, paths)):
            raise DlrunError(
                f"{label}: column '{name}' names no file that is there, {paths[0]} the first",
                hint=f"paths begin in the folder of the table, {folder}",
            )
        return paths, columns


def _with_target(
    request: Request, columns: Mapping[str, Any], rows: np.ndarray, place: Callable[[int], object]
) -> tuple[np.ndarray, Arrays, dict[int, str]]:
    """The rows that have a value in each target, their labels, and those that have a wrong one."""
    import pyarrow as pa

    has_target = np.ones(len(rows), bool)
    for name in required_targets(request):
        if name in columns:  # else encode_labels says so
            has_target &= columns[name].is_valid().to_numpy(zero_copy_only=False)
    if len(rows) and not has_target.any():
        raise DlrunError(f"{request.key} {request.source}: no row has a target")
    mask, rows = pa.array(has_target), rows[has_target]
    targets = targets_of(request.spec).values()
    there = [name for name in columns_of(targets) if name in columns]
    kept = pa.RecordBatch.from_pydict({name: columns[name].filter(mask) for name in there})
    wrong: dict[int, str] = {}
    if there == columns_of(targets):
        wrong = wrong_targets(targets, kept)
    right = np.setdiff1d(np.arange(len(rows)), list(wrong))
    labels = tree_map(lambda of: np.zeros((len(rows), *of.shape), of.dtype), request.spec.labels)
    if len(right) or not wrong:
        of_right = kept.take(pa.array(right)) if wrong else kept
        encoded = encode_labels(
            request, BatchColumns(of_right), lambda row: place(rows[right[row]])
        )
        for all_labels, right_labels in zip(leaves(labels), leaves(encoded), strict=True):
            all_labels[right] = right_labels
    where = request.source.name
    return rows, labels, {n: f"{where}, row {rows[n] + 1:,}: {why}" for n, why in wrong.items()}


def _image_column(columns: Mapping[str, Any], label: str) -> str:
    found = [
        name
        for name, values in columns.items()
        if (some := values[:100].drop_null().to_pylist())
        and all(isinstance(value, str) and is_image(value) for value in some)
    ]
    if len(found) != 1:
        what = f"several columns of images, {', '.join(found)}" if found else "no column of images"
        raise DlrunError(
            f"{label} has {what}; it has {', '.join(list(columns)[:12])}",
            hint=f"data.image={found[0] if found else 'COLUMN'}",
        )
    return found[0]
