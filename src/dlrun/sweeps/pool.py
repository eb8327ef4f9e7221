"""Give jobs to workers until all have ended."""

from __future__ import annotations

import operator
import selectors
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlrun import backends
from dlrun.checkpoints.store import list_positions
from dlrun.runs.directory import CHECKPOINTS, CONFIG, RECORD
from dlrun.sweeps.plan import Job, completed
from dlrun.system.files import read_json, write_json
from dlrun.workers.client import Worker

TICK_SECONDS = 0.2  # how soon a timeout, or a signal, is seen
GRACE_SECONDS = 30.0  # for the batch at hand
LATE_SECONDS = 5.0  # for that of a run that has overrun its time
START_SECONDS = 10.0  # more than a framework takes: what lasts longer is worth another start


@dataclass(frozen=True)
class Rules:
    """How a pool deals with its jobs.

    Args:
        slots: How many run at once.
        timeout_seconds: For one run; None for no limit.
        retries: How often a job that failed is tried again.
        fail_fast: Stop all when one fails.
        memory_bytes: A worker that holds more when its run has ended is replaced.
        config_dir: The user's own options.
        trusted: As for :func:`dlrun.api.train.train`.
        slot: The first of the slots that are this pool's; those before it are another's.
        typed: Whether the user has typed the overrides, rather than a record held them.
    """

    slots: int
    timeout_seconds: float | None = None
    retries: int = 0
    fail_fast: bool = False
    memory_bytes: float = float("inf")
    config_dir: Path | None = None
    trusted: Sequence[str] = ()
    slot: int = 0
    typed: bool = True


class Pool:
    """Runs jobs in workers that stay, one framework start for all jobs of a key; once.

    Args:
        rules: How.
        directory: For what the workers print.
        changed: Called with a job after each change of it.
        pruned: Called with a job after each of its epochs; True ends the run. None asks nobody.
    """

    def __init__(
        self,
        rules: Rules,
        directory: Path,
        changed: Callable[[Job], None],
        pruned: Callable[[Job], bool] | None = None,
    ) -> None:
        self._rules = rules
        self._directory = directory
        self._changed = changed
        self._pruned = pruned
        self._workers: list[Worker[Job]] = []
        self._pending: list[Job] = []
        self._more: Iterator[Job] = iter(())
        self._selector = selectors.DefaultSelector()
        self._overrun: set[int] = set()
        self._stopping = False

    def stop(self) -> None:
        """End every run at the end of its batch, and start no other."""
        self._stopping = True

    def run(self, jobs: Sequence[Job], more: Iterator[Job] | None = None) -> None:
        """Run jobs until each has ended, or the pool was stopped; no process is left then.

        Args:
            jobs: Those that are known.
            more: Asked for the next when there is room for it; its length hint is how many it has.
        """
        self._pending += jobs
        self._more = iter(()) if more is None else more
        self._draw()
        try:
            while self._busy() or (self._pending and not self._stopping):
                self._place()
                self._hurry()
                for ready, _ in self._selector.select(TICK_SECONDS):
                    self._hear(ready.fileobj)  # type: ignore[arg-type]  # only workers are waited for
                self._draw()
        except BaseException:
            self._stopping = True
            for worker in self._workers:
                worker.stop(0)
                worker.stop(0)
            raise
        finally:
            for worker in self._workers:
                worker.dismiss()  # all at once: an interpreter takes a while to end
            for worker in list(self._workers):
                self._end(worker)
            self._selector.close()

    def _busy(self) -> list[Worker[Job]]:
        return [worker for worker in self._workers if worker.job is not None]

    def _draw(self) -> None:
        """Ask for as many more jobs as could begin now."""
        while not self._stopping and len(self._pending) + len(self._busy()) < self._rules.slots:
            job = next(self._more, None)
            if job is None:
                return
            self._pending.append(job)

    def _place(self) -> None:
        """Give each free worker a job of its key, and start workers where there is room."""
        if self._stopping:
            return
        for worker in [w for w in self._workers if w.job is None]:
            if mates := [job for job in self._pending if job.key == worker.key]:
                # One that has no need of being compiled, where there is one.
                like = (job for job in mates if job.program == worker.program)
                self._give(worker, next(like, mates[0]))
            elif self._pending:
                self._end(worker)  # its place is for another key
        while self._pending and len(self._workers) < self._rules.slots:
            job = self._worth_a_start()
            if job is None:
                return
            taken = {worker.slot for worker in self._workers}
            slot = next(n for n in range(self._rules.slot, self._rules.slots) if n not in taken)
            errors = self._directory / f"worker-{slot}.log"
            worker = Worker(job.key, slot, self._rules.slots, errors)
            self._workers.append(worker)
            self._selector.register(worker, selectors.EVENT_READ)
            self._give(worker, job)

    def _worth_a_start(self) -> Job | None:
        """A job whose key has no worker; else one whose workers have more to do than a start."""
        served = {worker.key for worker in self._workers}
        unserved = [job for job in self._pending if job.key not in served]
        if unserved:  # the longest start first: at the end, the short ones fill what is left
            return max(unserved, key=_start_seconds)
        for job in self._pending:
            mates = [worker for worker in self._workers if worker.key == job.key]
            left = sum(other.key == job.key for other in self._pending)
            left += operator.length_hint(self._more)  # most will be of this key too
            known = [w for w in mates if w.runs]
            if not known:  # none has shown how long a run takes
                long = all(time.monotonic() - w.began > START_SECONDS for w in mates)
                if long or left > max(3, len(mates)):
                    return job
                continue
            seconds = sum(w.run_seconds for w in known) / sum(w.runs for w in known)
            if left * seconds / len(mates) > max(w.start_seconds for w in known):
                return job
        return None

    def _give(self, worker: Worker[Job], job: Job) -> None:
        self._pending.remove(job)
        job.state, job.error, job.attempts = "running", None, job.attempts + 1
        resumes = _can_resume(job.path)
        if not resumes and job.path.exists():
            shutil.rmtree(job.path)  # of an attempt that has saved nothing
        worker.give(
            job,
            {
                "overrides": job.overrides,
                "path": str(job.path),
                "resumes": resumes,
                "config_dir": str(self._rules.config_dir) if self._rules.config_dir else None,
                "trusted": list(self._rules.trusted),
                "typed": self._rules.typed,
                "asks": self._pruned is not None,
            },
        )
        self._changed(job)

    def _hurry(self) -> None:
        limit = self._rules.timeout_seconds
        for worker in self._busy():
            late = limit is not None and time.monotonic() - worker.began > limit
            if late and worker.job is not None:
                self._overrun.add(worker.job.number)
            if self._stopping or late:
                worker.stop(LATE_SECONDS if late else GRACE_SECONDS)
            if worker.gone():
                self._hear(worker)

    def _hear(self, worker: Worker[Job]) -> None:
        if worker not in self._workers:
            return
        answers, ended = worker.read()
        for answer in answers:
            job, event = worker.job, answer["event"]
            if job is None:
                continue
            if event == "epoch":
                job.logs = {"epoch": answer["epoch"], **answer["logs"]}
                if self._pruned is not None:
                    worker.answer({"stop": self._pruned(job)})
                self._changed(job)
            else:
                worker.free(answer.get("result"))
                self._finish(job, event, answer)
                ended |= event == "interrupted"  # then it ends
                ended |= answer.get("memory_bytes", 0) > self._rules.memory_bytes
        if ended:
            self._end(worker)

    def _finish(self, job: Job, event: str, answer: dict[str, Any]) -> None:
        job.state, job.error = event, answer.get("error")
        job.result = answer.get("result") or {}
        if job.number in self._overrun and event != "completed":
            limit = self._rules.timeout_seconds
            job.state, job.error = "failed", f"took longer than --timeout {limit:g} s"
        elif event == "interrupted" and not self._stopping:
            job.state, job.error = "failed", "its process was sent SIGTERM, and not by the sweep"
        self._overrun.discard(job.number)
        if job.state != "completed":
            record_failure(job)
        if job.state == "failed" and not self._stopping:
            if job.attempts <= self._rules.retries:
                job.state = "pending"
                self._pending.append(job)
            elif self._rules.fail_fast:
                self.stop()
        self._changed(job)

    def _end(self, worker: Worker[Job]) -> None:
        """Let a worker go, and tell of the job that it had."""
        self._workers.remove(worker)
        self._selector.unregister(worker)
        how = worker.close()
        if (job := worker.job) is None:
            return
        worker.job = None
        if done := completed(job.path):  # and it had no time left to tell so
            self._finish(job, "completed", {"result": done})
        else:
            event = "interrupted" if self._stopping else "failed"
            self._finish(job, event, {"error": how})


def _start_seconds(job: Job) -> float:
    return backends.training_module(job.key.backend).START_SECONDS


def record_failure(job: Job) -> None:
    """Let a job's ``run.json`` tell how it ended, where its own process could not."""
    path = job.path / RECORD
    try:
        told = read_json(path)
    except (OSError, ValueError):
        told = {"overrides": job.overrides}
    if told.get("status") == job.state and (told.get("error") or not job.error):
        return
    ended = {"status": job.state} | ({"error": job.error} if job.error else {})
    job.path.mkdir(parents=True, exist_ok=True)
    write_json(path, {**told, **ended})


def _can_resume(path: Path) -> bool:
    return (path / CONFIG).is_file() and bool(list_positions(path / CHECKPOINTS))
