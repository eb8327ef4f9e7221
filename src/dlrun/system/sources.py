"""A fingerprint of the user's own modules, so that two runs of the same code are told apart."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

MOST_FILES = 2000  # more are a file system, not a project


def source_fingerprint(project: Path) -> str | None:
    """A hash of the modules and packages of a project; None if they can't all be read.

    Args:
        project: Its directory. Modules are the Python files in it; packages are the directories
            with an ``__init__.py``, with all Python files below.

    Returns:
        16 hexadecimal digits.
    """
    digest = hashlib.sha256()
    try:
        for number, path in enumerate(_sources(project)):
            if number == MOST_FILES:
                return None
            content = path.read_bytes()
            digest.update(f"{path.relative_to(project)}\0{len(content)}\0".encode())
            digest.update(content)
    except (OSError, UnicodeError):
        return None
    return digest.hexdigest()[:16]


def _sources(project: Path) -> Iterator[Path]:
    yield from sorted(path for path in project.glob("*.py") if path.is_file())
    for package in sorted(path.parent for path in project.glob("*/__init__.py")):
        yield from sorted(path for path in package.rglob("*.py") if path.is_file())
