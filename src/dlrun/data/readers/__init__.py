"""Readers: files of samples, one module for each suffix, as ``npy`` reads ``.npy``.

Each module has a function ``read(path, *, names, array)``:

- ``path``: the file, which may come from anyone.
- ``names``: the arrays to read, by name; empty for a single one without a name.
- ``array``: which array of the file is the single one; None if the file tells.

It returns the array ``(samples, ...)``, or a mapping of arrays for ``names``, and raises
``ValueError`` or ``OSError`` for a damaged file, :class:`DlrunError` for one of another form.
"""

from __future__ import annotations

import importlib
import pkgutil
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from dlrun.data.tree import Arrays
from dlrun.errors import DlrunError
from dlrun.system.files import is_file


def read_inputs(path: Path, *, names: Sequence[str], array: str | None = None) -> Arrays:
    """Read samples from a file, by the reader for its suffix.

    Args:
        path: The file.
        names: As for a reader.
        array: As for a reader.

    Raises:
        DlrunError: If no reader takes it, or it is missing, damaged or of another form.
    """
    suffixes = [f".{module.name}" for module in pkgutil.iter_modules(__path__)]
    if path.suffix not in suffixes:
        kinds = ", ".join(suffixes[:-1]) + f" or {suffixes[-1]}"
        raise DlrunError(f"--input {path}: expected a {kinds} file")
    if names and array is not None:
        raise DlrunError(
            f"--array {array}: the run takes inputs by name: {', '.join(names)}",
            hint="leave it out",
        )
    if not is_file(path):
        raise DlrunError(f"--input {path}: no such file")
    reader = importlib.import_module(f"{__name__}{path.suffix}")
    try:
        inputs: Arrays = reader.read(path, names=tuple(names), array=array)
    except (OSError, ValueError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise DlrunError(
            f"--input {path} can't be read: {error}", hint="write it with numpy.save"
        ) from error
    return inputs
