"""A worker process: it imports its framework once and runs one job after another.

``python -m dlrun.workers.host CORES`` reads a job from each line of stdin, one run or several that
train in one program, and answers with lines on stdout, all in JSON. When stdin is closed, because
the sweep has ended or was killed, it stops its runs at the end of the batch and exits.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from dlrun import backends
from dlrun.config.project import Project
from dlrun.errors import DlrunError, RunInterrupted, describe
from dlrun.runs.result import RunResult
from dlrun.system import process, signals
from dlrun.training.reuse import ProcessCache
from dlrun.training.vectorized import LaneBackend, Vectorized

GRACE_SECONDS = 20.0  # for the current batch, when the sweep is gone

log = logging.getLogger("dlrun")


class _Connection:
    """The pipes to the sweep."""

    def __init__(self) -> None:
        self._answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)  # prints of libraries must not mix with answers
        self._messages: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._busy = False
        threading.Thread(target=self._listen, daemon=True).start()

    def send(self, event: str, **fields: Any) -> None:
        """Send one answer."""
        print(json.dumps({"event": event, **fields}), file=self._answers, flush=True)

    def next_job(self) -> dict[str, Any] | None:
        """Wait for the next job; None at the end."""
        self._busy = False
        job = self._messages.get()
        self._busy = True
        return job

    def wait_for_decision(self) -> bool:
        """Wait for the sweep to decide whether the run stops."""
        if (answer := self._messages.get()) is None:
            raise RunInterrupted(signal.SIGTERM)
        return bool(answer["stop"])

    def _listen(self) -> None:
        for line in sys.stdin:
            self._messages.put(json.loads(line))
        self._messages.put(None)
        if self._busy:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(GRACE_SECONDS)
            os._exit(1)


def main() -> None:
    """Run one job after another."""
    if hasattr(os, "sched_setaffinity"):
        # Each library starts as many threads as there are cores available to it.
        os.sched_setaffinity(0, map(int, sys.argv[1].split(",")))
    # Slurm signals every process of a job that its time is over; the parent process handles it.
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    log.setLevel(logging.INFO)
    log.propagate = False
    connection = _Connection()
    cache = ProcessCache()
    while (job := connection.next_job()) is not None:
        process.begin()
        if len(job["runs"]) > 1:
            is_stopped = _run_together(job, connection)
        else:
            event, answer = _outcome(lambda job=job: _run(job, connection, cache))  # type: ignore[misc]
            if not (is_stopped := event == "interrupted"):
                _forget(cache)
            connection.send(event, run=0, memory_bytes=process.memory_bytes(), **answer)
        if is_stopped:
            break


def _outcome(train: Callable[[], RunResult]) -> tuple[str, dict[str, Any]]:
    """How a run has ended, and what to say of it."""
    try:
        return "completed", {"result": train().to_dict()}
    except RunInterrupted:
        return "interrupted", {}
    except DlrunError as error:
        return "failed", {"error": error.message}
    except BaseException as error:  # also sys.exit in a job: it fails, and the next one runs
        traceback.print_exc()
        return "failed", {"error": describe(error)}


def _forget(cache: ProcessCache) -> None:
    if "keras" in sys.modules:
        cache.forget()


def _run(job: dict[str, Any], connection: _Connection, cache: ProcessCache) -> RunResult:
    [run] = job["runs"]

    def on_epoch(logs: dict[str, Any]) -> bool:
        connection.send("epoch", run=0, **logs)
        return bool(job["asks"]) and connection.wait_for_decision()

    common: dict[str, Any] = {
        "project": Project.from_json(job["project"]),
        "started_at": process.started_at(),
        "on_epoch": on_epoch,
        "cache": cache,
    }
    if run["resumes"]:
        from dlrun.api.resume import resume

        typed = run["overrides"] if job["typed"] else ()
        return resume(run["path"], [], runs_dir=Path(run["path"]).parent, typed=typed, **common)
    from dlrun.api.train import train

    return train(run["overrides"], path=Path(run["path"]), **common)


def _run_together(job: dict[str, Any], connection: _Connection) -> bool:
    """Train new runs in one program; returns whether a signal has stopped them."""
    from dlrun.api.train import train

    backend = backends.module(job["backend"])
    assert backends.vectorizes(backend)
    together = Vectorized(backend, len(job["runs"]))

    def begin(number: int, backend: LaneBackend) -> None:
        run = job["runs"][number]

        def on_epoch(logs: dict[str, Any]) -> bool:
            connection.send("epoch", run=number, **logs)
            return False

        event, answer = _outcome(
            lambda: train(
                run["overrides"],
                path=Path(run["path"]),
                on_epoch=on_epoch,
                cache=together.cache,
                backend=backend,
                project=Project.from_json(job["project"]),
            )
        )
        ended.append(event)
        if is_last := len(ended) == len(job["runs"]):
            _forget(together.cache)
        memory = {"memory_bytes": process.memory_bytes()} if is_last else {}
        connection.send(event, run=number, **memory, **answer)

    ended: list[str] = []
    with signals.record_signals() as stopped:
        together.train([partial(begin, number) for number in range(len(job["runs"]))])
    return bool(stopped)


if __name__ == "__main__":
    main()
    # Exit without joining threads: an interrupted run may have dispatched steps.
    atexit._run_exitfuncs()
    os._exit(0)
