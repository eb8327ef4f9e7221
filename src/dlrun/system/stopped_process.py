"""A process that a signal has stopped, and that does not go on."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

STOPPED_SECONDS = 20.0  # for it to go on


class StoppedWatch:
    """Kills a process that has been stopped for long: others may wait for it without end.

    Args:
        process: The process.
    """

    reason = f"it was stopped, and did not go on for {STOPPED_SECONDS:.0f} s"

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._since: float | None = None
        self.killed = False

    def check(self) -> None:
        """Look at it; call this every second or so."""
        try:
            stat = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="ascii")
        except OSError:
            return
        now = time.monotonic()
        if stat.rpartition(")")[2].split()[0] not in ("T", "t"):
            self._since = None
        elif self._since is None:
            self._since = now
        elif now - self._since > STOPPED_SECONDS:
            self.killed = True
            self._process.kill()
