"""One array, from ``numpy.save``."""

from pathlib import Path

import numpy as np

from dlrun.errors import DlrunError
from dlrun.system.arrays import check_npy


def read(path: Path, *, names: tuple[str, ...], array: str | None) -> np.ndarray:
    """The array, memory-mapped: it need not fit into memory."""
    if names:
        raise DlrunError(
            f"--input {path}: expected a .npz file",
            hint=f"the run takes inputs by name: {', '.join(names)}",
        )
    if array is not None:
        raise DlrunError(f"--array {array}: {path} is a single array", hint="leave it out")
    with path.open("rb") as file:
        check_npy(file, path.stat().st_size)
    mapped: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    return mapped
