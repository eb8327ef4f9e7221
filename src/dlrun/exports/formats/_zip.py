"""Content within files that are zip archives, or end in one."""

from __future__ import annotations

import zipfile
from pathlib import Path

from dlrun.exports.content import FILE

MAX_BYTES = 64 * 2**20


def append_content(path: Path, text: str) -> None:
    """Add the content to a zip archive, or append an archive with it to another file."""
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(FILE, text)


def read_content(path: Path) -> str | None:
    """The content of an archive; None if there is none."""
    try:
        with zipfile.ZipFile(path) as archive:
            found = [entry for entry in archive.infolist() if entry.filename.endswith(FILE)]
            if not found or found[0].file_size > MAX_BYTES:
                return None
            return archive.read(found[0]).decode()
    except (OSError, UnicodeDecodeError, zipfile.BadZipFile):
        return None
