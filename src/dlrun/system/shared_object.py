"""An object that one process makes, and the others of a run on this machine share.

Its arrays are in memory once. The file has no name, so that nothing is left of it, however the
processes end: they inherit it open.
"""

from __future__ import annotations

import logging
import mmap
import os
import pickle
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any, TypeVar

from dlrun.errors import first_line

log = logging.getLogger("dlrun")

Value = TypeVar("Value")

HEAD = struct.Struct("<QQ")  # where the pickle is, and its length; zeros until it is complete
NOT_SHARED = (1, 0)
FIRST = 4096  # bytes: head, and a byte of each process that has made an object of its own
ALIGNED = 64  # bytes, as NumPy's arrays are
POLL_SECONDS = 0.02


def open_shared_file() -> int:
    """A file descriptor, for the processes of one start of a run; in memory where Linux runs."""
    if sys.platform == "linux":
        return os.memfd_create("dlrun")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


class SharedObject:
    """One object of several processes.

    Args:
        file: From :func:`open_shared_file`, the same for all.
        number: This process' number among them, from 0; the first makes the object.
        count: How many processes there are.
    """

    def __init__(self, file: int, number: int, count: int) -> None:
        os.set_inheritable(file, False)
        self._file = file
        self._number = number
        self._count = count

    def get(
        self,
        make: Callable[[], Value],
        *,
        is_shared: Callable[[Value], bool],
        is_alone: Callable[[], bool],
    ) -> Value:
        """The object. What can't be pickled, or is not to be shared, each process makes itself.

        Args:
            make: Makes it.
            is_shared: Whether it is to be shared.
            is_alone: Whether another process has ended, so that none is waited for.
        """
        if self._number == 0:
            return self._offer(make, is_shared, is_alone)
        while not (head := self._read_head())[0]:
            time.sleep(POLL_SECONDS)
        if head != NOT_SHARED:
            value: Value = self._load(*head)
            return value
        try:
            return make()
        finally:
            os.pwrite(self._file, b"\1", HEAD.size + self._number)

    def _offer(
        self,
        make: Callable[[], Value],
        is_shared: Callable[[Value], bool],
        is_alone: Callable[[], bool],
    ) -> Value:
        head = NOT_SHARED
        try:
            value = make()
            if is_shared(value):
                head = self._dump(value)
        finally:  # the others do the same, and fail alike
            os.pwrite(self._file, HEAD.pack(*head), 0)
        if head != NOT_SHARED:
            del value
            shared: Value = self._load(*head)
            return shared
        # The others make theirs only now, and the first sum would not wait for that long.
        while not is_alone() and not self._have_all():
            time.sleep(POLL_SECONDS)
        return value

    def _have_all(self) -> bool:
        return all(os.pread(self._file, self._count, HEAD.size).ljust(self._count, b"\0")[1:])

    def _read_head(self) -> tuple[int, int]:
        data = os.pread(self._file, HEAD.size, 0)
        return HEAD.unpack(data) if len(data) == HEAD.size else (0, 0)

    def _dump(self, value: Any) -> tuple[int, int]:
        """Write an object; returns its head."""
        buffers: list[pickle.PickleBuffer] = []
        try:
            payload = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
            at, places = FIRST, []
            for buffer in buffers:
                with buffer.raw() as raw:
                    _write(self._file, raw, at)
                    places.append((at, raw.nbytes))
                at += -(-places[-1][1] // ALIGNED) * ALIGNED
            whole = pickle.dumps((places, payload))
            _write(self._file, memoryview(whole), at)
        except Exception as error:  # such as of a function in a function, or a full disk
            log.info("data   each process holds all of it: %s", first_line(error))
            os.ftruncate(self._file, FIRST)
            return NOT_SHARED
        return at, len(whole)

    def _load(self, at: int, length: int) -> Any:
        # A page that a process writes to becomes its own.
        data = memoryview(mmap.mmap(self._file, at + length, access=mmap.ACCESS_COPY))
        places, payload = pickle.loads(data[at : at + length])
        return pickle.loads(payload, buffers=[data[a : a + size] for a, size in places])


def _write(file: int, data: memoryview, at: int) -> None:
    while data:
        written = os.pwrite(file, data[: 2**30], at)
        data, at = data[written:], at + written
