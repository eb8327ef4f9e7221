"""A user's own arrays without a split: one ``.npz`` with x and y, or two ``.npy`` files."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from dlrun.data.arrays import ArraySource, array_source
from dlrun.data.files.own_files import near_path
from dlrun.data.npz import read, way_to_write
from dlrun.data.samples import Samples
from dlrun.errors import DlrunError
from dlrun.system.arrays import check_npy
from dlrun.system.files import is_file

IN_MEMORY = 64 * 2**20  # bytes; a larger array stays in its file until its rows are taken


def npy(
    *,
    path: str,
    labels: str | None = None,
    scale: float = 1.0,
    standardize: bool = False,
    **options: Any,
) -> ArraySource:
    """Arrays of inputs and labels, which are split.

    Args:
        path: A ``.npz`` with the arrays ``x`` and ``y``, one row for each sample, and perhaps
            ``w``, how much each counts in the loss; or a ``.npy`` of inputs.
        labels: The ``.npy`` of labels, if ``path`` is one of inputs.
        scale: Divisor of integer inputs, such as 255 for pixels.
        standardize: Give each input value mean 0 and standard deviation 1.
        **options: Those of :func:`dlrun.data.table.table` for the target and the split.

    Raises:
        DlrunError: If the arguments do not fit together.
    """
    packed = Path(path).suffix == ".npz"
    if packed == (labels is not None):
        raise DlrunError(
            f"data.labels={labels}: {path} holds the labels too, as y"
            if packed
            else f"data.path={path}: a .npy of inputs needs one of labels",
            hint="leave data.labels out" if packed else "data.labels=y.npy, or one .npz of x and y",
        )

    def load() -> Samples:
        if packed:
            inputs, targets, weights = read(path, ("x", "y"), ("w",))
            return Samples(inputs, targets, weights=weights)
        return Samples(_load(path), np.asarray(_load(str(labels))))

    arguments = {"path": path} | ({"labels": labels} if labels else {})
    return array_source(
        path, load, scale=scale, standardize=standardize, arguments=arguments, **options
    )


def _load(path: str) -> np.ndarray:
    file = Path(path)
    if not is_file(file):
        raise DlrunError(f"data: {path}: no such file", hint=near_path(file))
    try:
        with file.open("rb") as opened:
            check_npy(opened, file.stat().st_size)
        small = file.stat().st_size <= IN_MEMORY
        array: np.ndarray = np.load(file, mmap_mode=None if small else "r", allow_pickle=False)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DlrunError(
            f"data: {path} can't be read: {error}", hint=way_to_write(error, "numpy.save")
        ) from error
    if not array.ndim:
        raise DlrunError(f"data: {path} is a single number, expected a row for each sample")
    return array.view(np.ndarray)
