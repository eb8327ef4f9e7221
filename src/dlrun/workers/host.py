"""The process that runs jobs: it starts its framework once and stays for the next job.

``python -m dlrun.workers.host CORES`` reads a job from each line of stdin and answers with lines on
stdout, all of them JSON. When stdin ends, because the sweep did or was killed, it ends its run at
the end of the batch, and then itself.
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

from dlrun.errors import DlrunError, Interrupted, first_line
from dlrun.system import process
from dlrun.training.reuse import ProcessCache

GRACE_SECONDS = 20.0  # for the batch at hand, when the sweep is gone

log = logging.getLogger("dlrun")


class _Line:
    """The two pipes to the sweep."""

    def __init__(self) -> None:
        self._answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)  # what a library prints is no answer
        self._asked: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._busy = False
        threading.Thread(target=self._listen, daemon=True).start()

    def tell(self, event: str, **fields: Any) -> None:
        """Answer with one line."""
        print(json.dumps({"event": event, **fields}), file=self._answers, flush=True)

    def job(self) -> dict[str, Any] | None:
        """The next job; None at the end."""
        self._busy = False
        taken = self._asked.get()
        self._busy = True
        return taken

    def stops(self) -> bool:
        """What the sweep has decided of the run."""
        if (answer := self._asked.get()) is None:
            raise Interrupted(signal.SIGTERM)
        return bool(answer["stop"])

    def _listen(self) -> None:
        for line in sys.stdin:
            self._asked.put(json.loads(line))
        self._asked.put(None)
        if self._busy:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(GRACE_SECONDS)
            os._exit(1)


def main() -> None:
    """Run one job after the other."""
    if hasattr(os, "sched_setaffinity"):
        # Every library counts the cores that it may use, and takes as many threads.
        os.sched_setaffinity(0, map(int, sys.argv[1].split(",")))
    # Slurm tells every process of a job that its time is over: the one that started this one acts.
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    log.setLevel(logging.INFO)
    log.propagate = False
    line = _Line()
    cache = ProcessCache()
    while (job := line.job()) is not None:
        process.begin()
        answer: dict[str, Any]
        try:
            event, answer = "completed", {"result": _run(job, line, cache)}
        except Interrupted:
            line.tell("interrupted")
            break
        except DlrunError as error:
            event, answer = "failed", {"error": error.message}
        except BaseException as error:  # a job may call sys.exit: it fails, and the next one runs
            event, answer = "failed", {"error": f"{type(error).__name__}: {first_line(error)}"}
            traceback.print_exc()
        if "keras" in sys.modules:
            cache.forget()
        line.tell(event, memory_bytes=process.memory_bytes(), **answer)


def _run(job: dict[str, Any], line: _Line, cache: ProcessCache) -> dict[str, Any]:
    config_dir = Path(job["config_dir"]) if job["config_dir"] else None

    def on_epoch(logs: dict[str, Any]) -> bool:
        line.tell("epoch", **logs)
        return bool(job["asks"]) and line.stops()

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
    # Its runs are closed: nobody waits for the steps that an interrupted one has asked for.
    atexit._run_exitfuncs()
    os._exit(0)
