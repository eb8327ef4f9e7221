"""What has become of a run, whoever made it, since it wrote its record."""

import fcntl
import math
import os
import struct
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dlrun.runs.directory import LOCK, METRICS
from dlrun.system.files import MAX_BYTES

# Far more than a record has: some five levels.
MAX_DEPTH = 32


def current_status(path: Path, record: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a record that are others by now.

    A run that was killed could not tell: its status is ``killed``. One that is not at its end has
    not told its epochs.
    """
    status = record.get("status")
    if status == "completed":
        return {}
    killed = status == "running" and is_locked(path) is False
    return {"status": "killed" if killed else status, "epochs": _epochs(path / METRICS)}


def began(record: Mapping[str, Any]) -> float:
    """When a run was started, in seconds since the epoch; of one that doesn't tell, long ago."""
    try:
        when = datetime.fromisoformat(str(record.get("started")))
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return -math.inf


def is_locked(path: Path) -> bool | None:
    """Whether a process writes to the run at ``path``; None if that can't be told.

    It is asked and not tried: a lock taken for a moment could stop a process that begins to write.
    Not for a process that holds such a lock itself, which would lose it.
    """
    # struct flock: on Linux type, whence, start, length, process; on macOS in another order.
    mac = sys.platform == "darwin"
    kind, form = (3, "qqihh") if mac else (0, "hhqqi")
    wanted = (0, 0, 0, fcntl.F_WRLCK, 0) if mac else (fcntl.F_WRLCK, 0, 0, 0, 0)
    try:
        file = os.open(path / LOCK, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    except OSError:
        return None
    try:
        found = fcntl.fcntl(file, fcntl.F_GETLK, struct.pack(form, *wanted))
        return bool(struct.unpack(form, found)[kind] != fcntl.F_UNLCK)
    except OSError:
        return None
    finally:
        os.close(file)


def _epochs(path: Path) -> int:
    """How many epochs are done by the table of them."""
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > MAX_BYTES:
            return 0
        return max(path.read_bytes().count(b"\n") - 1, 0)
    except OSError:
        return 0


def too_deep(value: Any, most: int = MAX_DEPTH) -> bool:
    """Whether a record is nested so deeply that no run has written it."""
    if most == 0:
        return True
    for inner in value.values() if isinstance(value, dict) else value:
        # What JSON is read as has no other types that hold something.
        if type(inner) in (dict, list) and too_deep(inner, most - 1):
            return True
    return False
