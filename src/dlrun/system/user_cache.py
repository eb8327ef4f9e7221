"""The user's cache directory."""

import os
from pathlib import Path


def user_cache() -> Path:
    """``dlrun`` in ``XDG_CACHE_HOME``, or in ``~/.cache``."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "dlrun"
