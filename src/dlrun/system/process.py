"""What the operating system knows of this process: when it began, what it has used."""

import os
import platform
import resource
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

_IMPORTED, _USED = time.time(), time.process_time()
_START_SECONDS = 3.0  # more than the interpreter takes to come here
_BEGUN: list[float] = []
_KEEPS: list[Any] = []  # the libc that does, which is asked for once


def begin() -> None:
    """Count time and memory from now on, as if the process had just begun."""
    _BEGUN[:] = [time.time()]
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak is today's size


def started_at() -> float:
    """When this process began, or the run that :func:`begin` told of, in seconds since the epoch.

    Linux keeps it to a hundredth of a second; elsewhere it is when this module was imported, less
    the processor's time until then. So it is where a shell has become this process, as
    ``bash -c 'pip install ...; dlrun train'`` does: that had begun long before.
    """
    if _BEGUN:
        return _BEGUN[0]
    try:
        stat = Path("/proc/self/stat").read_text(encoding="ascii")
        uptime = float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])
    except OSError:
        return _IMPORTED - _USED
    # The command's name may hold spaces; the fields are counted from the parenthesis that ends it.
    ticks = int(stat.rpartition(")")[2].split()[19])
    began = time.time() - uptime + ticks / os.sysconf("SC_CLK_TCK")
    return began if _IMPORTED - began < _START_SECONDS else _IMPORTED - _USED


def memory_bytes() -> int:
    """The memory that this process holds now, in bytes; the most it has held, where that is all."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return peak_memory_bytes()
    return pages * os.sysconf("SC_PAGE_SIZE")


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


def total_memory_bytes() -> int:
    """The memory of this machine, in bytes."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def cores() -> int:
    """How many processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


# Of <malloc.h>
_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8
_ALLOCATOR = ("GLIBC_TUNABLES", "LD_PRELOAD", "MALLOC_ARENA_MAX", "MALLOC_TRIM_THRESHOLD_")


def keep_freed_memory() -> None:
    """Let glibc keep what is freed for what is asked for next, unless the user has set that up.

    XLA asks for the buffers of a step anew in each step. glibc gives large ones back to the system
    at once, and the system clears every page again, which was half of a convolution's step. The
    arenas of threads are too small for such buffers: so there is one arena for all, which must be
    said before there are threads.
    """
    if not _KEEPS and (libc := _glibc()) is not None:
        for option, value in ((_ARENA_MAX, 1), (_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1)):
            libc.mallopt(option, value)
        _KEEPS.append(libc)


def give_back_memory() -> None:
    """Let the system have what :func:`keep_freed_memory` has kept until now."""
    for libc in _KEEPS:
        libc.malloc_trim(0)


def _glibc() -> Any:
    if platform.libc_ver()[0] != "glibc" or any(name in os.environ for name in _ALLOCATOR):
        return None
    import ctypes

    return ctypes.CDLL(None)
