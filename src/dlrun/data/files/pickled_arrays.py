"""Arrays and lists of numbers from pickles of others, without running what the pickles name.

The batches of CIFAR, and the ragged arrays of IMDB and Reuters, were written with pickle. NumPy's
own classes are stood in for, so that nothing but lists, numbers, texts and bytes is made.
"""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np

MAX_BYTES = 2**30  # of an array in an archive; IMDB's have 2**26
DTYPES = {"u1", "i1", "i2", "i4", "i8", "u2", "u4", "u8", "f4", "f8", "b1", "O", "O8"}


def load_pickle(file: IO[bytes]) -> Any:
    """A pickle of dictionaries, lists, numbers, texts and NumPy arrays.

    Bytes and the texts of Python 2 are bytes; an array of objects is a list.

    Raises:
        ValueError: If it holds anything else, or is damaged.
    """
    try:
        return _plain(_Unpickler(file, encoding="bytes").load())
    except (pickle.UnpicklingError, EOFError, AttributeError, IndexError, TypeError) as error:
        raise ValueError(f"the pickle can't be read: {error}") from error


def load_ragged(path: Path, names: tuple[str, ...]) -> list[Any]:
    """Arrays of a ``.npz`` file; an array of objects is a list.

    Raises:
        OSError: If the file can't be read.
        ValueError: If it is damaged, or an array is missing.
        zipfile.BadZipFile: If it is not an archive.
    """
    found = []
    with zipfile.ZipFile(path) as archive:
        for name in names:
            member = f"{name}.npy"
            if member not in archive.namelist():
                raise ValueError(f"there is no array '{name}'")
            if archive.getinfo(member).file_size > MAX_BYTES:
                raise ValueError(f"array '{name}' is larger than {MAX_BYTES:,} bytes")
            with archive.open(member) as file:
                found.append(_load_npy(file))
    return found


def _load_npy(file: IO[bytes]) -> Any:
    version = np.lib.format.read_magic(file)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read is None:
        raise ValueError(f"an array of version {version} of the format")
    shape, fortran, dtype = read(file)
    if dtype.hasobject:
        return load_pickle(file)
    values = np.frombuffer(file.read(), dtype)
    return values.reshape(shape, order="F" if fortran else "C")


class _Dtype:
    """Stands in for ``numpy.dtype``."""

    def __init__(self, code: Any, *_: Any) -> None:
        self.code = code.decode("ascii") if isinstance(code, bytes) else str(code)
        self.order = "|"

    def __setstate__(self, state: Any) -> None:
        order = state[1]
        self.order = order.decode("ascii") if isinstance(order, bytes) else str(order)


class _Array:
    """Stands in for ``numpy.ndarray``."""

    content: Any = None

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, content = state
        if not isinstance(dtype, _Dtype) or dtype.code not in DTYPES:
            raise pickle.UnpicklingError("an array of another dtype than numbers or objects")
        if dtype.code.startswith("O"):
            self.content = list(content)
            return
        order = dtype.order if dtype.order in "<>" else ""
        values = np.frombuffer(content, np.dtype(f"{order}{dtype.code}"))
        self.content = values.reshape(shape, order="F" if fortran else "C")


def _new_array(*_: Any) -> _Array:
    return _Array()


STAND_INS = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("numpy.core.multiarray", "_reconstruct"): _new_array,
    ("numpy._core.multiarray", "_reconstruct"): _new_array,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in STAND_INS:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is no array")
        return STAND_INS[module, name]


def _plain(value: Any) -> Any:
    if isinstance(value, _Array):
        return _plain(value.content)
    if isinstance(value, dict):
        return {_plain(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list) and any(isinstance(entry, _Array) for entry in value):
        return [_plain(entry) for entry in value]
    return value
