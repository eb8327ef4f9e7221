"""Where compiled functions are kept from one process to the next."""

from __future__ import annotations

import hashlib
import platform
from pathlib import Path

from dlrun.system.user_cache import user_cache


def compile_cache_of(name: str) -> Path:
    """Where a backend caches compiled functions: one folder per processor model.

    Machines may share a home directory, and code compiled for one may crash on another.
    """
    try:
        first_core = Path("/proc/cpuinfo").read_text(encoding="utf-8").partition("\n\n")[0]
        lines = [
            line for line in first_core.splitlines() if line.startswith(("model name", "flags"))
        ]
    except OSError:
        lines = []
    processor = "\n".join([platform.machine(), platform.processor(), *lines])
    return user_cache() / name / hashlib.sha256(processor.encode()).hexdigest()[:8]
