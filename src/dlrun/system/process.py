"""This process as the operating system sees it: start time, memory, cores."""

import os
import platform
import resource
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

_IMPORTED, _USED = time.time(), time.process_time()
_START_SECONDS = 3.0  # more than the interpreter takes until this import
_RUN_START: list[float] = []
_KEEPS: list[Any] = []  # the libc that keeps freed memory, set up once


def begin() -> None:
    """Count time and memory from now on, as if the process had just started."""
    _RUN_START[:] = [time.time()]
    reset_peak_memory()


def reset_peak_memory() -> bool:
    """Let :func:`peak_memory_bytes` count from now on; whether the system could do so."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        return True
    return False


def started_at() -> float:
    """When this process or, after :func:`begin`, its run started, in seconds since 1970.

    Linux records the start to a hundredth of a second. Elsewhere it is the time when this module
    was imported, minus the CPU time until then. The same holds if a shell has become this process,
    as in ``bash -c 'pip install ...; dlrun train'``, as the shell started long before.
    """
    if _RUN_START:
        return _RUN_START[0]
    try:
        stat = Path("/proc/self/stat").read_text(encoding="ascii")
        uptime = float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])
    except OSError:
        return _IMPORTED - _USED
    # The command's name may contain spaces, so count fields from its closing parenthesis.
    ticks = int(stat.rpartition(")")[2].split()[19])
    started = time.time() - uptime + ticks / os.sysconf("SC_CLK_TCK")
    return started if _IMPORTED - started < _START_SECONDS else _IMPORTED - _USED


def memory_bytes() -> int:
    """This process's current memory in bytes; its peak memory where only that is known."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return peak_memory_bytes()
    return pages * os.sysconf("SC_PAGE_SIZE")


def peak_memory_bytes() -> int:
    """This process's peak memory, in bytes."""
    try:
        # ru_maxrss survives exec, so it may be the size of the parent process.
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def total_memory_bytes() -> int:
    """This machine's memory, in bytes."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


CORES = "DLRUN_CORES"  # how many a cluster has allotted, as it may not bind a process to them


def cores() -> int:
    """The number of CPU cores that this process may use."""
    bound = hasattr(os, "sched_getaffinity")
    found = len(os.sched_getaffinity(0)) if bound else os.cpu_count() or 1
    allotted = os.environ.get(CORES, "")
    return max(1, min(found, int(allotted))) if allotted.isdecimal() else found


def processor() -> str:
    """What this machine's processor is and can do, in lines."""
    lines: list[str] = []
    with suppress(OSError):
        first_core = Path("/proc/cpuinfo").read_text(encoding="utf-8").partition("\n\n")[0]
        lines = [one for one in first_core.splitlines() if one.startswith(("model name", "flags"))]
    return "\n".join([platform.machine(), platform.processor(), *lines])


# From <malloc.h>
_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8
_ALLOCATOR = ("GLIBC_TUNABLES", "LD_PRELOAD", "MALLOC_ARENA_MAX", "MALLOC_TRIM_THRESHOLD_")


def keep_freed_memory() -> None:
    """Let glibc keep freed memory for later allocations, unless the user has configured malloc.

    XLA reallocates its buffers in each step. glibc returns large buffers to the system at once, and
    the system clears every page again, which took half of a convolution's step. Thread arenas are
    too small for such buffers, so all threads share one arena; call this before threads start.
    """
    if _KEEPS or any(name in os.environ for name in _ALLOCATOR):
        return
    if (libc := _glibc()) is not None:
        for option, value in ((_ARENA_MAX, 1), (_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1)):
            libc.mallopt(option, value)
        _KEEPS.append(libc)


def give_back_memory() -> None:
    """Return the memory kept by :func:`keep_freed_memory` to the system."""
    for libc in _KEEPS:
        libc.malloc_trim(0)


def trim_memory() -> None:
    """Return whatever glibc has freed to the system, so that what is resident is in use."""
    if (libc := _glibc()) is not None:
        libc.malloc_trim(0)


def _glibc() -> Any:
    if platform.libc_ver()[0] != "glibc":
        return None
    import ctypes

    return ctypes.CDLL(None)
