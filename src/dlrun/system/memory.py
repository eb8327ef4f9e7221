"""The memory that this machine, or the container, has left; and that of another process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
# Of the two versions of control groups: the limit, what is used, and the files that the system may
# drop, in the line of memory.stat.
V2 = ("memory.max", "memory.current", "inactive_file")
V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def available_bytes() -> int | None:
    """What a new process can take without swapping; None where the system does not tell."""
    found = [*_of_machine(), *_of_groups()]
    return min(found) if found else None


def resident_bytes(pid: int) -> int:
    """What a process holds; 0 if it has ended, or the system does not tell."""
    with suppress(OSError, ValueError, IndexError):
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    return 0


def offer_to_be_killed(pid: int) -> None:
    """Let the system choose this process first, should memory run out all the same."""
    with suppress(OSError):
        Path(f"/proc/{pid}/oom_score_adj").write_text("1000", encoding="ascii")


def _of_machine() -> Iterator[int]:
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                yield int(line.split()[1]) * 1024


def _of_groups() -> Iterator[int]:
    """What each control group that this process is in has left."""
    for folder, (limit, used, droppable) in _groups():
        with suppress(OSError, ValueError):
            most = int((folder / limit).read_text(encoding="ascii"))  # "max": no limit
            taken = int((folder / used).read_text(encoding="ascii"))
            for line in (folder / "memory.stat").read_text(encoding="ascii").splitlines():
                if line.startswith(f"{droppable} "):
                    taken -= int(line.split()[1])
            yield max(0, most - taken)


def _groups() -> Iterator[tuple[Path, tuple[str, str, str]]]:
    """The folder of each group, from the process's own up to the root."""
    with suppress(OSError, ValueError):
        for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers and "memory" not in controllers.split(","):
                continue
            root, names = (CGROUPS / "memory", V1) if controllers else (CGROUPS, V2)
            folder = root / path.strip("/")
            # In a container the path may be that of the host, of which only the root is there.
            for place in (folder, *folder.parents):
                if not place.is_relative_to(root):
                    break
                yield place, names
