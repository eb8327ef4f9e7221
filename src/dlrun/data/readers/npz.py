"""Arrays by name, from ``numpy.savez``."""

from pathlib import Path

import numpy as np

from dlrun.data.tree import Arrays
from dlrun.errors import DlrunError
from dlrun.system.arrays import check_npz


def read(path: Path, *, names: tuple[str, ...], array: str | None) -> Arrays:
    """The arrays of the names, or a single one."""
    check_npz(path, packed=True)
    with np.load(path, allow_pickle=False) as arrays:
        there = list(arrays)
        if names:
            if missing := [name for name in names if name not in there]:
                raise DlrunError(
                    f"--input {path}: has no array '{missing[0]}': {', '.join(there)}",
                    hint=f"expected an array for each input: {', '.join(names)}",
                )
            return {name: arrays[name] for name in names}
        if array is None and len(there) == 1:
            [array] = there
        if array not in there:
            problem = "has several arrays" if array is None else f"has no array '{array}'"
            raise DlrunError(
                f"--input {path}: {problem}: {', '.join(there)}",
                hint=f"--array {there[0]}" if there else None,
            )
        single: np.ndarray = arrays[array]
        return single
