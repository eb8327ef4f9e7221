"""Run jobs in worker processes until all have ended."""

from __future__ import annotations

import operator
import selectors
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlrun import backends
from dlrun.config.project import HERE, Project
from dlrun.runs.annotations import remove_attempt
from dlrun.runs.directory import RECORD
from dlrun.sweeps.assignment import Assignment, alone, can_resume, side_by_side
from dlrun.sweeps.jobs import Job
from dlrun.sweeps.plan import completed_record, result_of
from dlrun.system.files import exists, read_json, write_json
from dlrun.workers.client import Worker

TICK_SECONDS = 0.2  # between checks for timeouts and signals
GRACE_SECONDS = 30.0  # for the current batch
LATE_SECONDS = 5.0  # for the current batch of a run that exceeded its time limit
START_SECONDS = 10.0  # longer than a framework takes to start: longer runs justify a second start


@dataclass(frozen=True)
class Rules:
    """The limits and options of a pool.

    Args:
        slots: The number of parallel workers.
        timeout_seconds: Time limit of one run; None for no limit.
        retries: How often to retry a failed job.
        fail_fast: Stop all jobs when one fails.
        memory_bytes: Replace a worker that holds more after a run.
        project: The user's own options, and what is trusted.
        slot: The first slot of this pool; the slots before it belong to other pools.
        typed: Whether the user typed the overrides; False if they come from a record.
        devices: How many GPUs each worker has, if there are GPUs.
        vectorize: Train runs that differ only in values in one program.
    """

    slots: int
    timeout_seconds: float | None = None
    retries: int = 0
    fail_fast: bool = False
    memory_bytes: float = float("inf")
    project: Project = HERE
    slot: int = 0
    typed: bool = True
    devices: int = 1
    vectorize: bool = False


class Pool:
    """Runs jobs in reused workers, with one framework start for all jobs of a key. Runs once.

    Args:
        rules: Its limits and options.
        directory: Where the workers' output is written.
        on_change: Called with a job after each change of its state.
        should_prune: Called with a job after each of its epochs; True stops the run. None never
            stops one.
    """

    def __init__(
        self,
        rules: Rules,
        directory: Path,
        on_change: Callable[[Job], None],
        should_prune: Callable[[Job], bool] | None = None,
    ) -> None:
        self._rules = rules
        self._directory = directory
        self._on_change = on_change
        self._should_prune = should_prune
        self._workers: list[Worker[Assignment]] = []
        self._pending: list[Assignment] = []
        self._more: Iterator[Job] = iter(())
        self._selector = selectors.DefaultSelector()
        self._overrun: set[int] = set()
        self._stopping = False

    def stop(self) -> None:
        """Stop every run at the end of its batch, and start no more."""
        self._stopping = True

    def run(self, jobs: Sequence[Job], more: Iterator[Job] | None = None) -> None:
        """Run jobs until all have ended or the pool is stopped. No process is left afterwards.

        Args:
            jobs: The known jobs.
            more: Gives further jobs when a worker is free; its length hint is their number.
        """
        rules = self._rules
        self._pending += side_by_side(jobs, rules.slots) if rules.vectorize else map(alone, jobs)
        self._more = iter(()) if more is None else more
        self._request_jobs()
        try:
            while self._busy() or (self._pending and not self._stopping):
                self._assign_jobs()
                self._enforce_limits()
                for ready, _ in self._selector.select(TICK_SECONDS):
                    self._read_answers(ready.fileobj)  # type: ignore[arg-type]  # all are workers
                self._request_jobs()
        except BaseException:
            self._stopping = True
            for worker in self._workers:
                worker.stop(0)
                worker.stop(0)
            raise
        finally:
            for worker in self._workers:
                worker.close_input()  # all in parallel: an interpreter takes a while to exit
            for worker in list(self._workers):
                self._close_worker(worker)
            self._selector.close()

    def _busy(self) -> list[Worker[Assignment]]:
        return [worker for worker in self._workers if worker.job is not None]

    def _request_jobs(self) -> None:
        """Request as many further jobs as could start now."""
        while not self._stopping and len(self._pending) + len(self._busy()) < self._rules.slots:
            job = next(self._more, None)
            if job is None:
                return
            self._pending.append(alone(job))

    def _assign_jobs(self) -> None:
        """Give each free worker what is pending for its key, and start workers in free slots."""
        if self._stopping:
            return
        for worker in [w for w in self._workers if w.job is None]:
            if candidates := [pending for pending in self._pending if pending.key == worker.key]:
                # Prefer what reuses the compiled program.
                same = (pending for pending in candidates if pending.program == worker.program)
                self._start(worker, next(same, candidates[0]))
            elif self._pending:
                self._close_worker(worker)  # free the slot for another key
        while self._pending and len(self._workers) < self._rules.slots:
            pending = self._for_new_worker()
            if pending is None:
                return
            taken = {worker.slot for worker in self._workers}
            slot = next(n for n in range(self._rules.slot, self._rules.slots) if n not in taken)
            errors = self._directory / f"worker-{slot}.log"
            worker = Worker(pending.key, slot, self._rules.slots, errors, self._rules.devices)
            self._workers.append(worker)
            self._selector.register(worker, selectors.EVENT_READ)
            self._start(worker, pending)

    def _for_new_worker(self) -> Assignment | None:
        """One whose key has no worker; else one whose workers have more work than a start."""
        served = {worker.key for worker in self._workers}
        unserved = [pending for pending in self._pending if pending.key not in served]
        if unserved:  # longest start first, so that short ones fill the end
            return max(unserved, key=_start_seconds)
        for pending in self._pending:
            workers = [worker for worker in self._workers if worker.key == pending.key]
            remaining = sum(other.key == pending.key for other in self._pending)
            remaining += operator.length_hint(self._more)  # most will have this key too
            measured = [w for w in workers if w.runs]
            if not measured:  # the duration of a run is unknown
                is_long = all(time.monotonic() - w.started_at > START_SECONDS for w in workers)
                if is_long or remaining > max(3, len(workers)) or len(pending.jobs) > 1:
                    return pending
                continue
            seconds = sum(w.run_seconds for w in measured) / sum(w.runs for w in measured)
            if remaining * seconds / len(workers) > max(w.start_seconds for w in measured):
                return pending
        return None

    def _start(self, worker: Worker[Assignment], pending: Assignment) -> None:
        self._pending.remove(pending)
        runs = []
        for job in pending.jobs:
            job.state, job.error, job.attempts = "running", None, job.attempts + 1
            resumes = can_resume(job.path)
            if not resumes and exists(job.path):
                remove_attempt(job.path)  # one without a checkpoint
            runs.append({"overrides": job.overrides, "path": str(job.path), "resumes": resumes})
        worker.start(
            pending,
            {
                "runs": runs,
                "backend": pending.key.backend,
                "project": self._rules.project.to_json(),
                "typed": self._rules.typed,
                "asks": self._should_prune is not None,
            },
        )
        for job in pending.jobs:
            self._on_change(job)

    def _enforce_limits(self) -> None:
        limit = self._rules.timeout_seconds
        for worker in self._busy():
            is_late = limit is not None and time.monotonic() - worker.started_at > limit
            if is_late and worker.job is not None:
                self._overrun |= {job.number for job in worker.job.running()}
            if self._stopping or is_late:
                worker.stop(LATE_SECONDS if is_late else GRACE_SECONDS)
            if worker.has_exited():
                self._read_answers(worker)

    def _read_answers(self, worker: Worker[Assignment]) -> None:
        if worker not in self._workers:
            return
        answers, ended = worker.read()
        for answer in answers:
            given, event = worker.job, answer["event"]
            if given is None:
                continue
            job = given.jobs[answer["run"]]
            if event == "epoch":
                job.logs = {"epoch": answer["epoch"], **answer["logs"]}
                # A config tells it only if it counts passes over the data.
                job.epochs = answer.get("epochs") or job.epochs
                if self._should_prune is not None:
                    worker.send({"stop": self._should_prune(job)})
                self._on_change(job)
            else:
                is_last = given.running() == [job]
                if is_last:
                    worker.finish(answer.get("result"))
                self._finish(job, event, answer)
                ended |= event == "interrupted" and is_last  # an interrupted worker exits
                ended |= answer.get("memory_bytes", 0) > self._rules.memory_bytes
        if ended:
            self._close_worker(worker)

    def _finish(self, job: Job, event: str, answer: dict[str, Any]) -> None:
        job.state, job.error = event, answer.get("error")
        job.result = answer.get("result") or {}
        if job.number in self._overrun and event != "completed":
            limit = self._rules.timeout_seconds
            job.state, job.error = "failed", f"took longer than --timeout {limit:g} s"
        elif event == "interrupted" and not self._stopping:
            job.state, job.error = "failed", "its process received SIGTERM from elsewhere"
        self._overrun.discard(job.number)
        if job.state != "completed":
            record_failure(job)
        if job.state == "failed" and not self._stopping:
            if job.attempts <= self._rules.retries:
                job.state = "pending"
                self._pending.append(alone(job))
            elif self._rules.fail_fast:
                self.stop()
        self._on_change(job)

    def _close_worker(self, worker: Worker[Assignment]) -> None:
        """Close a worker, and finish its jobs."""
        self._workers.remove(worker)
        self._selector.unregister(worker)
        how = worker.close()
        given, worker.job = worker.job, None
        for job in given.running() if given else ():
            if done := completed_record(job.path):  # but the worker ended before it could report it
                self._finish(job, "completed", {"result": result_of(done)})
            else:
                event = "interrupted" if self._stopping else "failed"
                self._finish(job, event, {"error": how})


def _start_seconds(pending: Assignment) -> float:
    return backends.training_module(pending.key.backend).START_SECONDS


def record_failure(job: Job) -> None:
    """Record in ``run.json`` how a job ended, if its own process could not."""
    path = job.path / RECORD
    try:
        record = read_json(path)
    except (OSError, ValueError):
        record = {"overrides": job.overrides}
    if record.get("status") == job.state and (record.get("error") or not job.error):
        return
    end = {"status": job.state} | ({"error": job.error} if job.error else {})
    job.path.mkdir(parents=True, exist_ok=True)
    write_json(path, {**record, **end})
