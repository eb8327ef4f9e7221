"""A process of a run, as rank 0 sees it: it is started, watched and ended."""

from __future__ import annotations

import os
import select
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from platform import node
from typing import IO, Any

from dlrun.system.child import how_ended, send_line
from dlrun.system.stopped_process import StoppedWatch

LOST = 75  # the exit code of a process that lost its connection to the others


class StartedRank:
    """A process of the run that this one has started.

    Args:
        rank: Its number.
        command: What starts it.
        environment: Its variables, beside those of this process.
        file: Of the data set that the processes share; it stays open in this one.
    """

    def __init__(
        self, rank: int, command: list[str], environment: Mapping[str, str], file: int
    ) -> None:
        self.rank = rank
        self._log: IO[str] = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env={**os.environ, **environment},
            pass_fds=[file],
            start_new_session=True,  # Ctrl-C goes to rank 0, which ends the others
        )
        self._watch = StoppedWatch(self._process)

    def send(self, job: Mapping[str, Any]) -> None:
        """Give it its job."""
        send_line(self._process.stdin, job)

    def is_ready(self, deadline: float) -> bool:
        """Wait until it is ready to meet; False if it ends before, or is late."""
        assert self._process.stdout is not None
        seconds = max(0.0, deadline - time.monotonic())
        there, _, _ = select.select([self._process.stdout], [], [], seconds)
        if there and self._process.stdout.readline():
            return True
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=3)
        return False

    def reason(self) -> str | None:
        """Why it has ended; None while it lives, and if it has lost its connection itself."""
        code = self._process.poll()
        if code is None or code == LOST:
            return None
        if self._watch.killed:
            return f"{self.name()}: {self._watch.reason}"
        self._log.seek(0)
        return f"{self.name()}: {how_ended(code, self._log.read())}"

    def lives(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def watch(self) -> None:
        """Kill it if it has been stopped for long: no collective of the others would return."""
        self._watch.check()

    def end(self, seconds: float) -> None:
        """Let it end, else kill it."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=seconds)
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()
        self._log.close()

    def name(self) -> str:
        """Its rank and machine."""
        return f"rank {self.rank} on {node()}"
