"""The process that calls the trackers: ``python -m dlrun.trackers.process FD``.

It reads messages from a socket until its end, and serves the runs of its parent one after the
other. If the parent is killed, the socket ends, and the trackers are told so.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO, Any

from dlrun.errors import describe
from dlrun.system.files import read_json, replacing, write_json
from dlrun.trackers.protocol import Outcome, Row, TrackedRun, Tracker

PARENTS = "trackers.json"  # the ids of a sweep's parent runs, in its directory
TOLD = "trackers.json"  # how far each tracker was told of a run, in the run's directory
NOTHING = {"epoch": 0, "step": 0, "rows": 0}  # the last epoch and step, and how many rows
WAIT_SECONDS = 120.0  # for the process of the same run before it was resumed, at most
MOST = 500  # rows at once
# How long rows are collected: what a tracker does for each call, such as a transaction of MLflow's
# database, costs ten times as much as a row, on the cores that train.
COLLECT_SECONDS = 2.0


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
        self._turn = _take_turn(run.directory)
        self._told = _Told(run)
        for name, tracker in trackers.items():
            with self._excuse(name, tracker):
                parent = _parent(name, tracker, run) if run.sweep else None
                tags = {**run.tags, **tracker.tags}
                told = self._told.rows(name)
                its = dataclasses.replace(
                    run, id=ids.get(name), parent=parent, tags=tags, told=told
                )
                identity, view = tracker.start(its)
                reply(("started", name, identity, view))

    def log(self, rows: list[Row]) -> None:
        """Pass rows to each tracker that has not failed; those of batches only where asked for."""
        for name, tracker in list(self._working.items()):
            wanted = [r for r in rows if r.every is None or tracker.every_steps in r.every]
            with self._excuse(name, tracker):
                if wanted := self._told.new(name, wanted):
                    tracker.log(wanted)
                    self._told.add(name, wanted)

    def finish(self, outcome: Outcome) -> None:
        """End the run in each tracker that has not failed."""
        for name, tracker in list(self._working.items()):
            files = {n: path for n, path in outcome.files.items() if n in tracker.artifacts}
            with self._excuse(name, tracker):
                tracker.finish(dataclasses.replace(outcome, files=files))
        if self._turn is not None:
            self._turn.close()

    @contextlib.contextmanager
    def _excuse(self, name: str, tracker: Tracker) -> Iterator[None]:
        """Let a tracker that raises out, with one line."""
        try:
            yield
            self._working[name] = tracker
        except Exception as error:
            self._working.pop(name, None)
            self._reply(("warning", name, describe(error)))


def _take_turn(directory: Path) -> IO[str] | None:
    """Wait until the process that the run had before it was killed has told all that it has to.

    Returns:
        What keeps the next process waiting until it is closed; None if the directory can't be
        written.
    """
    end = time.monotonic() + WAIT_SECONDS
    try:
        file = (directory / f".{TOLD}.lock").open("w")
    except OSError:
        return None
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        time.sleep(0.1)
    return file


class _Told:
    """How far each tracker was told of a run: a resumed run does not tell a point twice.

    Not every tracker can be asked what it has, and not every one can replace a point.

    Args:
        run: The run; a file in its directory outlives a kill.
    """

    def __init__(self, run: TrackedRun) -> None:
        self._path = run.directory / TOLD
        self._last: dict[str, dict[str, int]] = {}
        if run.resumes:
            with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
                self._last = {
                    name: {kind: int(last.get(kind, 0)) for kind in NOTHING}
                    for name, last in read_json(self._path).items()
                }
        if not run.repeats:  # the same points have other values
            self._last = {
                name: {**NOTHING, "rows": last["rows"]} for name, last in self._last.items()
            }
        self._before = {name: dict(last) for name, last in self._last.items()}

    def rows(self, name: str) -> int:
        """How many rows a tracker was told."""
        return self._last.get(name, NOTHING)["rows"]

    def new(self, name: str, rows: list[Row]) -> list[Row]:
        """The rows that a tracker was not told before."""
        before = self._before.get(name, NOTHING)
        return [row for row in rows if row.step > before[_kind(row)]]

    def add(self, name: str, rows: list[Row]) -> None:
        """Keep how far a tracker was told."""
        last = self._last.setdefault(name, dict(NOTHING))
        last["rows"] += len(rows)
        for row in rows:  # of one epoch, batches may come in any order
            last[_kind(row)] = max(last[_kind(row)], row.step)
        # Not flushed to disk, which would take longer than to tell: a kill leaves it whole.
        with contextlib.suppress(OSError), replacing(self._path) as partial:
            partial.write_text(json.dumps(self._last), encoding="utf-8")


def _kind(row: Row) -> str:
    return "step" if row.is_batch else "epoch"


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
    """The next messages, at least one if the socket is open, and whether it is.

    Rows are collected for a while, until there are many or the run starts or ends.
    """
    messages: list[tuple[Any, ...]] = []
    try:
        messages.append(connection.recv())
        end = time.monotonic() + COLLECT_SECONDS
        while messages[-1][0] == "log" and len(messages) < MOST:
            if not connection.poll(max(0.0, end - time.monotonic())):
                break
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
