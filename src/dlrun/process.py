"""What the operating system knows of this process: when it began, what it has used."""

import os
import resource
import sys
import time
from pathlib import Path

_IMPORTED = time.time()


def started_at() -> float:
    """When this process began, in seconds since the epoch.

    Linux keeps it to a hundredth of a second; elsewhere it is when this module was imported.
    """
    try:
        stat = Path("/proc/self/stat").read_text(encoding="ascii")
        uptime = float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])
    except OSError:
        return _IMPORTED
    # The command's name may hold spaces; the fields are counted from the parenthesis that ends it.
    ticks = int(stat.rpartition(")")[2].split()[19])
    return time.time() - uptime + ticks / os.sysconf("SC_CLK_TCK")


def peak_memory_bytes() -> int:
    """The most memory that this process has held at once, in bytes."""
    try:
        # ru_maxrss survives exec, so a process may be shown the size of the one that started it.
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def cores() -> int:
    """How many processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
