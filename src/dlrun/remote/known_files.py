"""What a working copy knows of the files there, in ``.remote.json``: so that it tells what changed.

It is rewritten before and after each file that is sent, so that a killed process leaves no doubt.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from dlrun.system.files import dump_json, read_json, replacing

FILE = ".remote.json"


class KnownFiles:
    """The files of one run, or of a sweep without its runs.

    Args:
        folder: The working copy; it need not exist.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self.files: dict[str, dict[str, Any]] = {}
        self.sending: str | None = None
        with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
            found = read_json(self._path)
            self.files = {str(name): dict(entry) for name, entry in found["files"].items()}
            self.sending = found["sending"]

    def write(self) -> None:
        """Write the file.

        Raises:
            OSError: If it can't be written.
        """
        with replacing(self._path) as partial:
            partial.write_text(
                dump_json({"files": self.files, "sending": self.sending}), encoding="utf-8"
            )

    def is_changed_there(self, name: str, token: str) -> bool:
        """Whether another machine has written a file since."""
        return name != self.sending and self.files.get(name, {}).get("token") != token

    def is_sent(self, name: str, stat: os.stat_result) -> bool:
        """Whether a file of the working copy is there as it is."""
        held = self.files.get(name, {}).get("held")
        return held == [stat.st_size, stat.st_mtime_ns]

    def has(self, name: str) -> bool:
        """Whether the working copy has had the file."""
        return self.files.get(name, {}).get("held") is not None

    def is_partial(self, name: str) -> bool:
        """Whether the file is of a checkpoint that is not all there."""
        return bool(self.files.get(name, {}).get("partial"))

    def note(
        self, name: str, token: str, stat: os.stat_result | None, *, partial: bool = False
    ) -> None:
        """Record a file that is there.

        Args:
            name: Of the file.
            token: From :class:`dlrun.remote.bucket.Entry`.
            stat: Of the same content here; None if it is not here.
            partial: Whether it is of a checkpoint that is not all there.
        """
        held = None if stat is None else [stat.st_size, stat.st_mtime_ns]
        self.files[name] = {"token": token, "held": held, **({"partial": True} if partial else {})}
