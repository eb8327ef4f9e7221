"""The process that calls the trackers: ``python -m dlrun.trackers.process FD``.

It reads messages from a socket until its end, and serves the runs of its parent one after the
other. If the parent is killed, the socket ends, and the trackers are told so.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

from dlrun.errors import describe
from dlrun.system.files import read_json, write_json
from dlrun.trackers.protocol import Outcome, Row, TrackedRun, Tracker

PARENTS = "trackers.json"  # the ids of a sweep's parent runs, in its directory
MOST = 500  # rows at once

Result = TypeVar("Result")


class TrackerServer:
    """The trackers of one run.

    Args:
        trackers: By name.
        run: The run.
        ids: The trackers' own ids of a resumed run, by name.
        reply: Sends a message to the run.
    """

    def __init__(
        self,
        trackers: Mapping[str, Tracker],
        run: TrackedRun,
        ids: Mapping[str, str],
        reply: Callable[[tuple[Any, ...]], None],
    ) -> None:
        self._reply = reply
        self._working: dict[str, Tracker] = {}
        for name, tracker in trackers.items():
            with self._excuse(name, tracker):
                parent = _parent(name, tracker, run) if run.sweep else None
                tags = {**run.tags, **tracker.tags}
                its = dataclasses.replace(run, id=ids.get(name), parent=parent, tags=tags)
                identity, view = tracker.start(its)
                reply(("started", name, identity, view))

    def log(self, rows: list[Row]) -> None:
        """Pass rows to each tracker that has not failed; those of batches only where asked for."""
        for name, tracker in list(self._working.items()):
            wanted = [r for r in rows if r.every is None or tracker.every_steps in r.every]
            with self._excuse(name, tracker):
                if wanted:
                    tracker.log(wanted)

    def finish(self, outcome: Outcome) -> None:
        """End the run in each tracker that has not failed."""
        for name, tracker in list(self._working.items()):
            files = {n: path for n, path in outcome.files.items() if n in tracker.artifacts}
            with self._excuse(name, tracker):
                tracker.finish(dataclasses.replace(outcome, files=files))

    @contextlib.contextmanager
    def _excuse(self, name: str, tracker: Tracker) -> Iterator[None]:
        """Let a tracker that raises out, with one line."""
        try:
            yield
            self._working[name] = tracker
        except Exception as error:
            self._working.pop(name, None)
            self._reply(("warning", name, describe(error)))


def _parent(name: str, tracker: Tracker, run: TrackedRun) -> str:
    """The id of the parent run of a sweep, made by the first of its runs, in whatever process."""
    assert run.sweep is not None
    path = run.sweep / PARENTS
    with (run.sweep / f".{PARENTS}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        parents = dict(read_json(path)) if path.is_file() else {}
        if name not in parents:
            parents[name] = tracker.start_sweep(run)
            write_json(path, parents)
        return str(parents[name])


def serve(connection: Connection) -> None:
    """Serve runs until the socket's end."""

    def reply(message: tuple[Any, ...]) -> None:
        with contextlib.suppress(OSError):  # the run is gone
            connection.send(message)

    served: TrackerServer | None = None
    is_open = True
    while is_open:
        messages, is_open = _receive(connection)
        rows: list[Row] = []
        for kind, *content in messages:
            if kind == "log":
                rows += content
                continue
            if served and rows:
                served.log(rows)
            rows = []
            if kind == "start":
                trackers, run, ids = content
                served = TrackerServer(trackers, run, ids, reply)
            elif served:
                served.finish(*content)
                served = None
                reply(("finished",))
        if served and rows:
            served.log(rows)
    if served:
        served.finish(Outcome("killed"))


def _receive(connection: Connection) -> tuple[list[tuple[Any, ...]], bool]:
    """The messages that are there, at least one if the socket is open, and whether it is."""
    messages: list[tuple[Any, ...]] = []
    try:
        messages.append(connection.recv())
        while connection.poll() and len(messages) < MOST:
            messages.append(connection.recv())
    except (EOFError, OSError):
        return messages, False
    return messages, True


def main() -> None:
    """Serve the socket whose number is the argument."""
    # The run decides what a signal means; the end of the socket ends this process.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.nice(10)  # where there are few cores, training comes first
    # What trackers print is not the run's output.
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    logging.disable(logging.CRITICAL)
    connection = Connection(int(sys.argv[1]))
    sys.path += [path for path in connection.recv() if path not in sys.path]
    serve(connection)


if __name__ == "__main__":
    main()
