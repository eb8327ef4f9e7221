"""The history of a run: a file of one line per epoch that only grows.

Each checkpoint holds how much of the file belongs to it, with a hash, so that a checkpoint costs
the same however many epochs there were. A line is a JSON object: ``history``, what the epoch
logged, and ``callbacks``, what callbacks keep of it, by name.
"""

import errno
import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from dlrun.system.files import MAX_BYTES

HISTORY = "history.jsonl"  # in the directory of the checkpoints
MAX_HISTORY_BYTES = 16 * MAX_BYTES  # a million epochs

Line = dict[str, Any]


class HistoryFile:
    """Appends lines; they are on disk after :meth:`flush`, and none is ever changed.

    Args:
        path: The file.
        lines: Those of a resumed run; what else the file holds is dropped at the first flush.
    """

    def __init__(self, path: Path, lines: Iterable[Line] = ()) -> None:
        self._path = path
        self._hash = hashlib.sha256()
        self._rows = self._bytes = self._flushed = 0
        self._waiting: list[bytes] = []
        for line in lines:
            self.add(line)
        self._skip_what_is_on_disk()

    def add(self, line: Line) -> None:
        """Add the line of an epoch, to be written by the next flush."""
        data = json.dumps(line).encode() + b"\n"
        self._hash.update(data)
        self._rows += 1
        self._bytes += len(data)
        self._waiting.append(data)

    def mark(self) -> dict[str, Any]:
        """How much of the file belongs to a checkpoint of now: rows, bytes, and their SHA-256."""
        return {"rows": self._rows, "bytes": self._bytes, "sha256": self._hash.hexdigest()}

    def flush(self) -> None:
        """Write the lines that wait, and flush the file to disk.

        Raises:
            OSError: If it can't be written, with its path; the lines go on waiting.
        """
        if not self._waiting:
            return
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                if os.fstat(descriptor).st_size < self._flushed:
                    raise OSError(errno.EIO, "it was changed during training")
                # A process that was killed, or a full disk, may have left more.
                os.ftruncate(descriptor, self._flushed)
                os.lseek(descriptor, 0, os.SEEK_END)
                _write_all(descriptor, b"".join(self._waiting))
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self._path)) from error
        self._flushed = self._bytes
        self._waiting.clear()

    def _skip_what_is_on_disk(self) -> None:
        with suppress(OSError):
            lines = b"".join(self._waiting)
            with self._path.open("rb") as file:
                if file.read(len(lines)) == lines:
                    self._flushed = self._bytes
                    self._waiting.clear()


def read_lines(path: Path, mark: Mapping[str, Any]) -> list[Line]:
    """The lines that belong to a checkpoint.

    Args:
        path: The file.
        mark: From :meth:`HistoryFile.mark`, as the checkpoint holds it.

    Raises:
        OSError: If the file can't be read.
        ValueError: If it is damaged.
    """
    size = int(mark["bytes"])
    if not 0 <= size <= MAX_HISTORY_BYTES:
        raise ValueError(f"{HISTORY} has {size:,} bytes, expected at most {MAX_HISTORY_BYTES:,}")
    data = b""
    if size:  # of a checkpoint within the first epoch there is no file yet
        with path.open("rb") as file:
            data = file.read(size)
    if hashlib.sha256(data).hexdigest() != mark["sha256"]:
        raise ValueError(f"{HISTORY} does not match its hash in the checkpoint")
    try:
        lines = [json.loads(line) for line in data.splitlines()]
    except RecursionError as error:
        raise ValueError(f"{HISTORY} is nested too deeply") from error
    well_formed = (
        isinstance(line, dict)
        and isinstance(line.get("history"), dict)
        and isinstance(line.get("callbacks"), dict)
        for line in lines
    )
    if len(lines) != mark["rows"] or not all(well_formed):
        raise ValueError(f"{HISTORY} does not hold {mark['rows']} epochs")
    return lines


def add_to_state(state: dict[str, Any], lines: Sequence[Line]) -> None:
    """Put the lines into a checkpoint's state: ``history``, and ``rows`` of each callback."""
    state["history"] = [line["history"] for line in lines]
    callbacks = state["callbacks"]
    for name in dict.fromkeys(name for line in lines for name in line["callbacks"]):
        rows = [line["callbacks"][name] for line in lines if name in line["callbacks"]]
        callbacks[name] = {**callbacks.get(name, {}), "rows": rows}


def lines_of(state: Mapping[str, Any]) -> list[Line]:
    """The lines of a checkpoint's state, also of one that was written before there was a file."""
    lines: list[Line] = [{"history": row, "callbacks": {}} for row in state["history"]]
    for name, saved in state["callbacks"].items():
        rows = saved.get("rows")
        if isinstance(rows, list):
            # A callback that was added to a resumed run has fewer.
            for line, row in zip(lines[::-1], rows[::-1], strict=False):
                line["callbacks"][name] = row
    return lines


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
