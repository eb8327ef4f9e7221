"""Where compiled functions are kept from one process to the next."""

from __future__ import annotations

import hashlib
from pathlib import Path

from dlrun.system.process import processor
from dlrun.system.user_cache import user_cache


def compile_cache_of(name: str) -> Path:
    """Where a backend caches compiled functions: one folder per processor model.

    Machines may share a home directory, and code compiled for one may crash on another.
    """
    return user_cache() / name / hashlib.sha256(processor().encode()).hexdigest()[:8]
