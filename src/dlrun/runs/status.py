"""A run's current status, which may differ from ``run.json`` if the run was killed."""

import fcntl
import math
import os
import struct
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dlrun.errors import DlrunError
from dlrun.remote.lease import is_written_there
from dlrun.remote.places import url_for
from dlrun.runs.directory import LOCK, METRICS, RECORD, RunDir, is_held
from dlrun.system.files import MAX_BYTES, is_file

# Far more than the about five levels of a record.
MAX_DEPTH = 32


def current_status(path: Path, record: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a record that have changed since it was written.

    A killed run could not write its status, ``killed``. An unfinished run has not written its
    epochs.
    """
    status = record.get("status")
    if status == "completed":
        return {}
    killed = status == "running" and is_locked(path) is False
    if killed and url_for(path) is not None:
        killed = not is_written_there(path)
    return {"status": "killed" if killed else status, "epochs": _epochs(path / METRICS)}


def current_record(run: RunDir) -> dict[str, Any]:
    """A run's record with its current status.

    Raises:
        DlrunError: If it is not the record of a run.
    """
    if too_deep(run.record):
        raise DlrunError(f"{run.path / RECORD} is not the record of a run")
    return run.record | current_status(run.path, run.record)


def start_time(record: Mapping[str, Any]) -> float:
    """When a run was started, in seconds since 1970; minus infinity if unknown."""
    try:
        when = datetime.fromisoformat(str(record.get("started")))
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return -math.inf


def is_locked(path: Path) -> bool | None:
    """Whether a process writes to the run at ``path``; None if unknown.

    It only queries the lock: taking it for a moment could stop a process that starts to write.
    """
    if is_held(path):
        return True
    # struct flock: on Linux type, whence, start, length, process; on macOS in another order.
    mac = sys.platform == "darwin"
    kind, form = (3, "qqihh") if mac else (0, "hhqqi")
    request = (0, 0, 0, fcntl.F_WRLCK, 0) if mac else (fcntl.F_WRLCK, 0, 0, 0, 0)
    try:
        file = os.open(path / LOCK, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    except OSError:
        return None
    try:
        holder = fcntl.fcntl(file, fcntl.F_GETLK, struct.pack(form, *request))
        return bool(struct.unpack(form, holder)[kind] != fcntl.F_UNLCK)
    except OSError:
        return None
    finally:
        os.close(file)


def _epochs(path: Path) -> int:
    """The number of completed epochs, from ``metrics.csv``."""
    try:
        if path.is_symlink() or not is_file(path) or path.stat().st_size > MAX_BYTES:
            return 0
        return max(path.read_bytes().count(b"\n") - 1, 0)
    except OSError:
        return 0


def too_deep(value: Any, max_depth: int = MAX_DEPTH) -> bool:
    """Whether a record is nested more deeply than any that a run writes."""
    if max_depth == 0:
        return True
    for inner in value.values() if isinstance(value, dict) else value:
        # Parsed JSON has no other container types.
        if type(inner) in (dict, list) and too_deep(inner, max_depth - 1):
            return True
    return False
