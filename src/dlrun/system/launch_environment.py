"""``dlrun launch``, as each of the processes that it has started sees it."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from dlrun.system.signals import SIGNALS

PLACE = "DLRUN_LAUNCH"  # the process' place among the others, in JSON
GRACE_SECONDS = 20.0  # for rank 0 to end its batch once its launcher has ended


class Launcher:
    """The connection to ``dlrun launch``: it says what ended the run, and receives what happens.

    A process ends with its launcher: it reads the pipe that the launcher holds open. Signals are
    for rank 0 alone, which ends the run at the end of a batch.

    Args:
        report: The file descriptor that takes reports.
        rank: The rank of this process.
    """

    def __init__(self, report: int, rank: int) -> None:
        os.set_inheritable(report, False)
        self._fd = report
        self._rank = rank
        self._reason: str | None = None
        self._told = threading.Event()
        self._meets = False
        if rank:
            for number in SIGNALS:
                signal.signal(number, signal.SIG_IGN)
        threading.Thread(target=self._listen, daemon=True).start()

    def report(self, event: str, **values: Any) -> None:
        """Report that something has happened."""
        with suppress(OSError):
            os.write(self._fd, json.dumps({"event": event, **values}).encode() + b"\n")

    def wait_for_reason(self, seconds: float) -> str | None:
        """What ended the run; None if the launcher tells nothing in time."""
        self._told.wait(seconds)
        return self._reason

    @contextmanager
    def meeting(self) -> Iterator[None]:
        """End at once if the run ends meanwhile: this process would wait for one that is lost.

        It has nothing to record yet.
        """
        self._meets = True
        self._leave_meeting()
        try:
            yield
        finally:
            self._meets = False

    def _leave_meeting(self) -> None:
        if self._meets and self._told.is_set():
            os._exit(1)

    def _listen(self) -> None:
        text = b""
        while chunk := os.read(0, 65536):
            *lines, text = (text + chunk).split(b"\n")
            for line in lines:
                self._reason = str(json.loads(line)["reason"])
                self._told.set()
                self._leave_meeting()
        if self._rank == 0:
            os.kill(os.getpid(), signal.SIGTERM)  # it ends the run at the end of a batch
            time.sleep(GRACE_SECONDS)
        os._exit(1)
