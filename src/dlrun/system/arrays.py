"""Files of arrays that may be anybody's: looked through before NumPy reads them.

NumPy makes room for the shape that a header tells before it looks whether the data are there, and
a zip archive may hold thousands of times its size.
"""

import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

# What is packed a thousandfold is a bomb: MNIST is packed 4.7-fold, black images 1,000-fold.
MAX_PACKED = 100
ALWAYS = 2**28  # bytes that a file may hold, however it is packed
MAX_AXIS = 2**48


def check_npy(file: IO[bytes], size: int) -> None:
    """Check that a ``.npy`` file has the data that its header tells of.

    Args:
        file: At its start.
        size: All of it, in bytes.

    Raises:
        ValueError: If it has not, or holds Python objects.
    """
    try:
        version = np.lib.format.read_magic(file)
        # The third form differs in names of fields, which numbers do not have.
        if version == (1, 0):
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        else:
            shape, _, dtype = np.lib.format.read_array_header_2_0(file)
    except (OSError, zipfile.BadZipFile):  # which say more
        raise
    except Exception as error:  # whatever Python's parser makes of it
        raise ValueError("its header can't be read") from error
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which only pickle could read")
    if not all(0 <= axis < MAX_AXIS for axis in shape):
        raise ValueError(f"its header tells of shape {shape}"[:200])
    told, held = math.prod(shape) * dtype.itemsize, size - file.tell()
    if told > held:
        raise ValueError(f"its header tells of {told:,} bytes of data, and {held:,} are there")


def check_npz(path: Path, *, packed: bool) -> None:
    """Check that a ``.npz`` file has the data that its headers tell of.

    Args:
        path: The file.
        packed: Whether it may be compressed.

    Raises:
        OSError: If it can't be read.
        ValueError: If an array is damaged, encrypted, or grows beyond measure.
        zipfile.BadZipFile: If it is no zip archive.
    """
    with _unread(), zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if len({member.filename for member in members}) != len(members):
            raise ValueError("it has two arrays of one name")
        if sum(member.compress_size for member in members) > path.stat().st_size:
            raise ValueError("its arrays overlap")
        if (size := sum(member.file_size for member in members)) > max(
            ALWAYS, MAX_PACKED * path.stat().st_size
        ):
            raise ValueError(f"it would grow to {size:,} bytes when it is unpacked")
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
        raise ValueError("it is of two sizes")
    with archive.open(member) as file:
        check_npy(file, member.file_size)


@contextmanager
def _unread() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # how zipfile tells of what it has not learnt to read
        raise ValueError(str(error)) from error
