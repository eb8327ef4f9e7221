"""A worker process: it imports its framework once and runs one job after another.

``python -m dlrun.workers.host CORES`` reads a job from each line of stdin and answers with lines on
stdout, all in JSON. When stdin is closed, because the sweep has ended or was killed, it stops its
run at the end of the batch and exits.
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
from pathlib import Path
from typing import Any

from dlrun.errors import DlrunError, RunInterrupted, describe
from dlrun.system import process
from dlrun.training.reuse import ProcessCache

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
        answer: dict[str, Any]
        try:
            event, answer = "completed", {"result": _run(job, connection, cache)}
        except RunInterrupted:
            connection.send("interrupted")
            break
        except DlrunError as error:
            event, answer = "failed", {"error": error.message}
        except BaseException as error:  # also sys.exit in a job: it fails, and the next one runs
            event, answer = "failed", {"error": describe(error)}
            traceback.print_exc()
        if "keras" in sys.modules:
            cache.forget()
        connection.send(event, memory_bytes=process.memory_bytes(), **answer)


def _run(job: dict[str, Any], connection: _Connection, cache: ProcessCache) -> dict[str, Any]:
    config_dir = Path(job["config_dir"]) if job["config_dir"] else None

    def on_epoch(logs: dict[str, Any]) -> bool:
        connection.send("epoch", **logs)
        return bool(job["asks"]) and connection.wait_for_decision()

    if job["resumes"]:
        from dlrun.api.resume import resume

        return resume(
            job["path"],
            [],
            runs_dir=Path(job["path"]).parent,
            config_dir=config_dir,
            trusted=job["trusted"],
            typed=job["overrides"] if job["typed"] else (),
            started_at=process.started_at(),
            on_epoch=on_epoch,
            cache=cache,
        ).to_dict()
    from dlrun.api.train import train

    return train(
        job["overrides"],
        config_dir=config_dir,
        trusted=job["trusted"],
        path=Path(job["path"]),
        started_at=process.started_at(),
        on_epoch=on_epoch,
        cache=cache,
    ).to_dict()


if __name__ == "__main__":
    main()
    # Exit without joining threads: an interrupted run may have dispatched steps.
    atexit._run_exitfuncs()
    os._exit(0)
