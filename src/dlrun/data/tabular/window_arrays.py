"""Windows of rows as arrays: views of the rows, and files of the windows themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dlrun.data.preprocessing.windows import Windows
from dlrun.data.tabular.write_rows import ArrayFile

AT_ONCE = 4096  # windows


def window_views(
    rows: np.ndarray, targets: np.ndarray, run: tuple[int, int], step: Windows, stride: int
) -> tuple[np.ndarray, np.ndarray]:
    """The windows of one part of a series, and what follows each; nothing is copied.

    Args:
        rows: All columns, ``(rows, columns)`` float32, contiguous.
        targets: Those to forecast, ``(rows, targets)`` float32, contiguous.
        run: The first row, and the number of windows.
        step: Gives the sizes of a window.
        stride: Rows from one window to the next.

    Returns:
        ``(windows, history, columns)``, and ``(windows, horizon * targets)``.
    """
    start, windows = run
    of_row, of_target = rows.strides[0], targets.strides[0]
    inputs = np.lib.stride_tricks.as_strided(
        rows[start:],
        (windows, step.history, rows.shape[1]),
        (stride * of_row, of_row, rows.itemsize),
        writeable=False,
    )
    labels = np.lib.stride_tricks.as_strided(
        targets[start + step.history :],
        (windows, step.horizon * step.targets),
        (stride * of_target, targets.itemsize),
        writeable=False,
    )
    return inputs, labels


def write_windows(
    directory: Path,
    name: str,
    part: list[tuple[int, int]],
    rows: np.ndarray,
    targets: np.ndarray,
    step: Windows,
    stride: int,
) -> None:
    """Write the windows of a split, and what follows each, one part of a series after the other.

    Args:
        directory: Where to.
        name: The split.
        part: The first row of each part, and its number of windows.
        rows: As for :func:`window_views`, like the following.
        targets: See there.
        step: See there.
        stride: See there.
    """
    views = [window_views(rows, targets, run, step, stride) for run in part or [(0, 0)]]
    total = sum(windows for _, windows in part)
    for number, kind in enumerate(("inputs", "labels")):
        with (directory / f"{name}-{kind}.npy").open("wb") as file:
            writer = ArrayFile(file, total, views[0][number])
            for pair in views:
                for first in range(0, len(pair[number]), AT_ONCE):
                    writer.write(pair[number][first : first + AT_ONCE])
