"""A user's own arrays from one ``.npz`` file."""

import logging
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from dlrun.data.dataset import Dataset, Split, split_off
from dlrun.data.files.own_files import near_path
from dlrun.data.preprocessing.standardize import Standardize
from dlrun.data.samples import one_hot_classes
from dlrun.errors import DlrunError, list_names
from dlrun.system.arrays import check_npz
from dlrun.system.files import is_file
from dlrun.system.finite import first_not_finite

log = logging.getLogger("dlrun")

SHOWN = 5  # arrays in a message
NAMES = ("x_train", "y_train", "x_test", "y_test")  # as in the files of keras.datasets
WEIGHTS = ("w_train", "w_test")


def npz(
    *,
    path: str,
    num_classes: int,
    validation_samples: int = 0,
    scale: float = 1.0,
    standardize: bool = False,
    limit: int | None = None,
) -> Dataset:
    """The arrays ``x_train``, ``y_train``, ``x_test`` and ``y_test``.

    ``w_train`` and ``w_test``, how much each sample counts in the loss, may be left out.

    Args:
        path: The file, as ``numpy.savez`` writes it.
        num_classes: The number of classes, labelled from 0; 1 for numeric labels.
        validation_samples: The first N training samples are for validation.
        scale: Divisor of integer inputs, such as 255 for pixels.
        standardize: Subtract the mean of each input value over the training split, and divide by
            its standard deviation; ``predict`` does the same with the saved statistics.
        limit: Keep the first N samples of each split.

    Raises:
        DlrunError: If the file or an array in it is missing or damaged.
    """
    x_train, y_train, x_test, y_test, w_train, w_test = read(path, NAMES, WEIGHTS)
    if num_classes > 1:
        y_train, y_test = (
            y if y.dtype.kind != "f" or (classes := one_hot_classes(y)) is None else classes
            for y in (y_train, y_test)
        )
    for name, array in zip(NAMES, (x_train, y_train, x_test, y_test), strict=True):
        require_finite(f"{path}: {name}", array)
    _require_same_length(path, x_train=x_train, y_train=y_train, w_train=w_train)
    _require_same_length(path, x_test=x_test, y_test=y_test, w_test=w_test)
    if len(np.shape(y_train)) == 1 and len(y_train) > 1 and (y_train == y_train[0]).all():
        raise DlrunError(
            f"data: {path}: y_train is {y_train[0]} in every row",
            hint="choose labels that vary; are the rows of one class only?",
        )
    return split_off(
        x_train,
        y_train,
        Split(x_test, y_test, w_test),
        validation_samples=validation_samples,
        limit=limit,
        num_classes=num_classes,
        scale=scale,
        fit=(Standardize.fit,) if standardize else (),
        weights=w_train,
    )


def _require_same_length(path: str, **arrays: np.ndarray | None) -> None:
    shapes = {name: array.shape for name, array in arrays.items() if array is not None}
    if all(shapes.values()) and len({shape[0] for shape in shapes.values()}) > 1:
        of_each = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise DlrunError(
            f"data: {path}: the arrays differ in their number of samples: {of_each}",
            hint="give each sample one row of each array",
        )


def require_finite(label: str, array: np.ndarray, rows: np.ndarray | None = None) -> None:
    """Refuse a number that is not finite by its place in the file, which no split has.

    Args:
        label: What the array is called in messages.
        array: ``(samples, ...)``.
        rows: The samples that count; None for all.

    Raises:
        DlrunError: If one is NaN or infinite, also as float32.
    """
    if not np.issubdtype(array.dtype, np.floating):
        return
    bad = first_not_finite(array, np.float32)
    if bad is None or not np.ndim(array):
        return
    if rows is not None and bad[0] not in rows:  # the first bad one may be of a sample left out
        some = np.sort(rows)
        if (bad := first_not_finite(array[some], np.float32)) is None:
            return
        bad = (int(some[bad[0]]), *bad[1:])
    too_large = np.isfinite(array[bad])
    raise DlrunError(
        f"data: {label}[{', '.join(map(str, bad))}] is {array[bad]}"
        + (", more than float32 holds" if too_large else ""),
        hint="divide the array" if too_large else "remove the sample, or fill in the value",
    )


def read(path: str | Path, names: Sequence[str], optional: Sequence[str] = ()) -> list[Any]:
    """Read arrays from a ``.npz`` file, in the order of ``names``, without unpickling.

    Args:
        path: The file.
        names: The arrays that it must have.
        optional: The arrays that follow; None for one that it does not have. A warning names the
            others.

    Raises:
        DlrunError: If the file or an array in it is missing or damaged.
    """
    if not is_file(path):
        raise DlrunError(f"data: {path}: no such file", hint=near_path(Path(path)))
    try:
        with Path(path).open("rb") as file:  # NumPy would leave it open if it fails
            if not zipfile.is_zipfile(file):
                raise DlrunError(
                    f"data: {path} {_what_is(file)}, expected a .npz file",
                    hint="write it with numpy.savez",
                )
            check_npz(Path(path), packed=True)  # a copied run may have brought the file
            file.seek(0)
            arrays: Any = np.load(file, allow_pickle=False)
            if missing := [name for name in names if name not in arrays]:
                available = ", ".join(arrays) or "no arrays"
                raise DlrunError(
                    f"data: {path}: no array '{missing[0]}'; the file has {available}",
                    hint=_way_to_read(path, {*arrays})
                    or f"numpy.savez(path, {', '.join(f'{name}=...' for name in names)})",
                )
            known = (*names, *optional)
            if others := [name for name in arrays if name not in known]:  # x_val, or a wrong name
                log.warning(
                    "data: %s: arrays that are not read: %s; read are %s",
                    *(path, list_names(others, SHOWN), ", ".join(known)),
                )
            return [arrays.get(name, None) for name in known]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DlrunError(
            f"data: {path} can't be read: {error}", hint=way_to_write(error, "numpy.savez")
        ) from error


def way_to_write(error: Exception, function: str) -> str:
    """How to write a file again that can't be read."""
    if "Python objects" in str(error):
        return "make it an array of numbers or of text first, as array.astype('float32') or (str)"
    return f"write it again with {function}"


def _way_to_read(path: str | Path, names: set[str]) -> str | None:
    """The option that reads a file with these arrays; None if there is none."""
    if names >= {"x", "y"}:
        return f"data=npy data.path={path} splits x and y"
    return f"data=npz data.path={path} takes them as they are split" if names >= {*NAMES} else None


def _what_is(file: IO[bytes]) -> str:
    """What a file is that is not an archive."""
    file.seek(0)
    start = file.read(6)
    if not start:
        return "is empty"
    return "is a single array" if start == b"\x93NUMPY" else "is cut short, or something else"
