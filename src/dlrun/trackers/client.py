"""A run's side of its trackers: what it hands to their process, without waiting."""

from __future__ import annotations

import logging
import os
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from dlrun.system.child import python_command
from dlrun.trackers.protocol import Outcome, Row, TrackedRun, Tracker

log = logging.getLogger("dlrun")

QUEUED = 10_000  # rows; more are left out, not waited for
FINISH_SECONDS = 120.0  # for files on their way to a server
SAY_SECONDS = 2.0
LONGEST = 300  # characters of what a tracker says of its failure

Key = tuple[object, ...]


class Tracking:
    """The trackers of one run, in a process of their own.

    Args:
        trackers: By name.
        run: The run.
        ids: The trackers' ids of a resumed run, by name.
    """

    def __init__(
        self, trackers: Mapping[str, Tracker], run: TrackedRun, ids: Mapping[str, str]
    ) -> None:
        self.ids: dict[str, str] = dict(ids)
        self.has_new_ids = False
        """Whether ``ids`` changed since :meth:`take_ids`."""
        self._queue: queue.Queue[tuple[Any, ...]] = queue.Queue(QUEUED)
        self._left_out = 0
        self._finished = threading.Event()
        self._key = (Path.cwd(), run.runs_dir, *sys.path)
        self._process, self._connection = _take_process(self._key)
        threading.Thread(target=self._read, daemon=True).start()
        threading.Thread(target=self._write, daemon=True).start()
        self._queue.put(("start", dict(trackers), run, dict(ids)))

    def take_ids(self) -> dict[str, str]:
        """The trackers' ids of the run, by name."""
        self.has_new_ids = False
        return dict(self.ids)

    def log(
        self, step: int, values: Mapping[str, float], every: tuple[int, ...] | None = None
    ) -> None:
        """Hand over the fields of a :class:`Row`; never waits."""
        try:
            self._queue.put_nowait(("log", Row(step, dict(values), time.time(), every)))
        except queue.Full:
            self._left_out += 1

    def finish(self, outcome: Outcome, *, seconds: float = FINISH_SECONDS) -> None:
        """Hand over how the run ended, and wait until the trackers have kept it.

        Args:
            outcome: How it ended.
            seconds: How long to wait at most.
        """
        if self._left_out:
            log.warning("tracker: too slow; %d rows were left out", self._left_out)
        end = time.monotonic() + seconds
        try:
            self._queue.put(("finish", outcome), timeout=seconds)
            if not self._finished.wait(SAY_SECONDS):
                log.info("track  waiting for %s", ", ".join(self.ids) or "the trackers")
            is_done = self._finished.wait(max(0.0, end - time.monotonic()))
        except queue.Full:
            is_done = False
        if not is_done:
            log.warning("tracker: not done after %g s; it goes on by itself", seconds)
        if is_done and self._process.poll() is None:
            _idle[:] = [(self._key, self._process, self._connection)]
        else:
            self._connection.close()

    def _write(self) -> None:
        with suppress(OSError, ValueError):  # the process has ended: _read says so
            while True:
                message = self._queue.get()
                self._connection.send(message)
                if message[0] == "finish":
                    return

    def _read(self) -> None:
        try:
            while True:
                kind, *content = self._connection.recv()
                if kind == "started":
                    name, identity, view = content
                    self.ids[name] = identity
                    self.has_new_ids = True
                    log.info("track  %s %s   %s", name, identity, view)
                elif kind == "warning":
                    name, text = content
                    log.warning("tracker=%s: %.*s; the run goes on without it", name, LONGEST, text)
                else:
                    break
        except (EOFError, OSError, ValueError):
            log.warning("tracker: its process has ended; the run goes on without it")
        self._finished.set()


# The process of the last run, for the next run of this process: importing a tracker takes seconds.
_idle: list[tuple[Key, subprocess.Popen[bytes], Connection]] = []


def _take_process(key: Key) -> tuple[subprocess.Popen[bytes], Connection]:
    """The idle trackers' process, if it was started in the same place, or a new one."""
    while _idle:
        started_as, process, connection = _idle.pop()
        if started_as == key and process.poll() is None:
            return process, connection
        connection.close()
    ours, theirs = socket.socketpair()
    # A session of its own: Ctrl-C on the terminal is for the run, which tells how it ended.
    process = subprocess.Popen(
        python_command("dlrun.trackers.process", str(theirs.fileno())),
        pass_fds=[theirs.fileno()],
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )
    theirs.close()
    connection = Connection(ours.detach())
    connection.send([path for path in sys.path if path])
    return process, connection
