"""Who writes to a run in a bucket: a lock on this machine tells nothing to another.

The file ``.writer.json`` names the process and when it was last there. Two processes that begin in
the same second may both pass; from then on each second start is refused.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from platform import node
from typing import Any

from dlrun.errors import DlrunError
from dlrun.remote.bucket import Bucket
from dlrun.remote.layout import WRITER
from dlrun.system.files import read_json

BEAT_SECONDS = 20.0
LOST_SECONDS = 120.0  # from then on a process is taken for dead


def write_lease(bucket: Bucket, *, ended: bool = False) -> None:
    """Say that this process writes there; ``ended``, that it no longer does."""
    lease = {"host": node(), "pid": os.getpid(), "time": time.time(), "ended": ended}
    bucket.write(WRITER, json.dumps(lease).encode())


def refuse_other_writer(bucket: Bucket) -> None:
    """Check that no other process writes there.

    Raises:
        DlrunError: If one does.
    """
    try:
        lease = json.loads(bucket.read(WRITER))
    except (FileNotFoundError, ValueError):
        return
    if (age := _age(lease)) is not None:
        raise DlrunError(
            f"{bucket.url} is being written by process {lease.get('pid')} on"
            f" {str(lease.get('host'))[:100]}, {age:.0f} s ago",
            hint=f"wait until it ends, or {LOST_SECONDS:.0f} s if it was killed",
        )


def is_written_there(path: Path) -> bool:
    """Whether another machine writes to a run, or to its sweep, as far as was last fetched.

    Args:
        path: The working copy of the run.
    """
    for folder in (path, path.parent):
        try:
            if _age(read_json(folder / WRITER)) is not None:
                return True
        except (OSError, ValueError):
            continue
    return False


def _age(lease: Any) -> float | None:
    """How many seconds ago another process wrote; None if none does any more."""
    if not isinstance(lease, dict) or lease.get("ended") is not False:
        return None
    try:
        age, pid = time.time() - float(lease["time"]), int(lease["pid"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    if lease.get("host") == node() and (pid == os.getpid() or not _lives(pid)):
        return None
    return max(age, 0.0) if age < LOST_SECONDS else None


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True
