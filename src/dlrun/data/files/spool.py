"""Arrays that come in parts, put one after the other outside of memory."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from typing import BinaryIO

import numpy as np

from dlrun.data.cache import cache_dir, cache_error
from dlrun.data.tree import Arrays, leaves, map_named


class Spool:
    """Files without a name, beside the data cache: the system removes what is no longer used.

    A context manager; its arrays outlive it.
    """

    def __init__(self) -> None:
        self._files: dict[str | None, BinaryIO] = {}
        self._last: Arrays | None = None
        self._rows = 0

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *error: object) -> None:
        for file in self._files.values():
            with suppress(OSError):  # a full disk can't take the rest of the buffer
                file.close()

    def add(self, arrays: Arrays) -> None:
        """Append samples; each array has the dtype and the shape of those before.

        Raises:
            DlrunError: If they can't be written, as on a full disk.
        """
        self._rows += len(leaves(arrays)[0])
        try:
            self._last = map_named(self._append, arrays)
        except OSError as error:
            raise cache_error(error) from error

    def arrays(self) -> Arrays | None:
        """All samples, read-only and mapped into memory; None if nothing was added.

        Raises:
            DlrunError: As :meth:`add`.
        """
        try:
            return None if self._last is None else map_named(self._map, self._last)
        except OSError as error:
            raise cache_error(error) from error

    def _append(self, name: str | None, array: np.ndarray) -> np.ndarray:
        if name not in self._files:
            directory = cache_dir()
            directory.mkdir(parents=True, exist_ok=True)
            self._files[name] = tempfile.TemporaryFile(dir=directory)  # noqa: SIM115
        self._files[name].write(np.ascontiguousarray(array).data)
        return array[:0]

    def _map(self, name: str | None, like: np.ndarray) -> np.ndarray:
        file, shape = self._files[name], (self._rows, *like.shape[1:])
        file.flush()
        if 0 in shape:  # an empty file can't be mapped
            return np.zeros(shape, like.dtype)
        return np.memmap(file, like.dtype, mode="r", shape=shape).view(np.ndarray)
