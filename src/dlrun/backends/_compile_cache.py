"""Where compiled functions are kept from one process to the next."""

from __future__ import annotations

import hashlib
import os
import platform
from pathlib import Path


def compile_cache_dir() -> Path:
    """What holds a folder for each backend that caches compiled functions."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "dlrun"


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
    return compile_cache_dir() / name / hashlib.sha256(processor.encode()).hexdigest()[:8]
