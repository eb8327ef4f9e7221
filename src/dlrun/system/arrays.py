"""Check array files from untrusted sources before NumPy reads them.

NumPy allocates the shape in a header before it checks that the data exist, and a zip archive may
unpack to thousands of times its size.
"""

import math
import mmap
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

# Limits the compression ratio, against zip bombs: MNIST has 4.7, black images 1,000.
MAX_RATIO = 100
ALWAYS_ALLOWED = 2**28  # bytes that a file may unpack to, at any ratio
MAX_AXIS = 2**48


def write_npz(file: IO[bytes], arrays: Mapping[str, np.ndarray]) -> None:
    """As ``numpy.savez``, which does not take an array that is called ``file``.

    Args:
        file: Where to write.
        arrays: By name; none of objects.

    Raises:
        OSError: If it can't be written.
        ValueError: If an array is of objects.
    """
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)


def check_npy(file: IO[bytes], size: int) -> None:
    """Check that a ``.npy`` file contains the data that its header declares.

    Args:
        file: The file, positioned at its start.
        size: The size of the whole file, in bytes.

    Raises:
        ValueError: If data are missing, or it contains Python objects.
    """
    try:
        version = np.lib.format.read_magic(file)
        # Version 3 differs only in field names, which arrays of numbers do not have.
        if version == (1, 0):
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        else:
            shape, _, dtype = np.lib.format.read_array_header_2_0(file)
    except (OSError, zipfile.BadZipFile):  # which say more
        raise
    except Exception as error:  # Python's parser may raise anything
        raise ValueError("its header can't be read") from error
    if dtype.hasobject:
        raise ValueError("it contains Python objects, which only pickle could read")
    if not all(0 <= axis < MAX_AXIS for axis in shape):
        raise ValueError(f"its header declares shape {shape}"[:200])
    declared, actual = math.prod(shape) * dtype.itemsize, size - file.tell()
    if declared > actual:
        raise ValueError(f"its header declares {declared:,} bytes of data, but it has {actual:,}")


def check_npz(path: Path, *, packed: bool) -> None:
    """Check that a ``.npz`` file contains the data that its headers declare.

    Args:
        path: The file.
        packed: Whether it may be compressed.

    Raises:
        OSError: If it can't be read.
        ValueError: If an array is damaged or encrypted, or would unpack to too many bytes.
        zipfile.BadZipFile: If it is not a zip archive.
    """
    with _unsupported_as_value_error(), zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if len({member.filename for member in members}) != len(members):
            raise ValueError("it has two arrays with the same name")
        if sum(member.compress_size for member in members) > path.stat().st_size:
            raise ValueError("its arrays overlap")
        if (size := sum(member.file_size for member in members)) > max(
            ALWAYS_ALLOWED, MAX_RATIO * path.stat().st_size
        ):
            raise ValueError(f"it would unpack to {size:,} bytes")
        for member in members:
            try:
                _check_member(archive, member, packed)
            except ValueError as error:
                raise ValueError(f"array {member.filename!a:.80}: {error}") from error


def _check_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, packed: bool) -> None:
    if member.flag_bits & 1:
        raise ValueError("it is encrypted")
    stored = member.compress_type == zipfile.ZIP_STORED
    if not stored and not (packed and member.compress_type == zipfile.ZIP_DEFLATED):
        raise ValueError("it is compressed")
    if stored and member.file_size != member.compress_size:
        raise ValueError("its sizes in the archive differ")
    with archive.open(member) as file:
        check_npy(file, member.file_size)


@contextmanager
def _unsupported_as_value_error() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # zipfile's error for unsupported features
        raise ValueError(str(error)) from error


def is_mapped(array: Any) -> bool:
    """Whether an array lies in a file, as a view of one does, or is shared by processes."""
    while array is not None and not isinstance(array, mmap.mmap):
        array = array.obj if isinstance(array, memoryview) else getattr(array, "base", None)
    return array is not None
