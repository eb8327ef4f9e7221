"""A handle on a worker process, for the process that gives it jobs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from dlrun.system.child import how_ended, python_command, send_line
from dlrun.system.gpus import visible_gpus
from dlrun.workers.key import ProcessKey

CLOSE_SECONDS = 5.0  # for a worker to end by itself
# Limit a library's threads, on systems that can't restrict a process to some of the cores.
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "NPROC")


class HasProgram(Protocol):
    """The part of a job that a worker needs."""

    @property
    def program(self) -> tuple[str, ...]:
        """The values that its compiled program depends on."""


Job = TypeVar("Job", bound=HasProgram)


class Worker(Generic[Job]):
    """A process that runs jobs of one key, one at a time.

    Args:
        key: The key that its jobs share.
        slot: Its index among the parallel workers, from 0.
        slots: The number of parallel workers.
        errors: The file that receives its stderr.
        devices: How many GPUs each of the workers has, if there are GPUs.
    """

    def __init__(
        self, key: ProcessKey, slot: int, slots: int, errors: Path, devices: int = 1
    ) -> None:
        self.key = key
        self.slot = slot
        self.job: Job | None = None
        self.program: tuple[str, ...] | None = None
        self.started_at = 0.0
        self.start_seconds = 0.0
        self.runs = 0
        self.run_seconds = 0.0
        self._text = b""
        self._signalled: float | None = None
        cores = _cores(slot, slots)
        with errors.open("ab") as file:
            self._process = subprocess.Popen(
                python_command("dlrun.workers.host", ",".join(map(str, cores))),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                env={**os.environ, **_environment(key, slot, slots, len(cores), devices)},
                # Ctrl-C goes to the sweep, which stops its workers.
                start_new_session=True,
            )
        assert self._process.stdout is not None
        os.set_blocking(self._process.stdout.fileno(), False)

    def fileno(self) -> int:
        """The file descriptor of its answers, for a selector."""
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def start(self, job: Job, message: Mapping[str, Any]) -> None:
        """Start a job. If the worker has died, :meth:`read` reports it."""
        self.job, self.program, self.started_at = job, job.program, time.monotonic()
        self.send(message)

    def finish(self, result: Mapping[str, Any] | None) -> None:
        """Mark its job as ended, and update its timings."""
        seconds = time.monotonic() - self.started_at
        if self.runs == 0 and result:  # the first run's time beyond training
            self.start_seconds = max(0.0, seconds - result["seconds"]["train"])
        self.runs, self.run_seconds = self.runs + 1, self.run_seconds + seconds
        if self.runs == 1:
            self.run_seconds -= self.start_seconds
        self.job = None

    def send(self, message: Mapping[str, Any]) -> None:
        """Send it one message."""
        send_line(self._process.stdin, message)

    def read(self) -> tuple[list[dict[str, Any]], bool]:
        """Its answers so far, and whether there will be no more."""
        ended = self.has_exited()  # its child process may keep the pipes open
        while True:
            try:
                chunk = os.read(self.fileno(), 65536)
            except BlockingIOError:
                break
            if not chunk:
                ended = True
                break
            self._text += chunk
        *lines, self._text = self._text.split(b"\n")
        return [answer for line in lines if (answer := _answer(line))], ended

    def has_exited(self) -> bool:
        """Whether the process has ended."""
        if not hasattr(os, "waitid"):
            return self._process.poll() is not None
        # WNOWAIT: its process id must not be reused before close().
        options = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self._process.pid, options) is not None

    def stop(self, grace_seconds: float) -> None:
        """Ask it to stop at the end of the batch; after ``grace_seconds``, kill it."""
        if self._signalled is None:
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGTERM)  # Popen's would reap it first
            self._signalled = time.monotonic()
        elif time.monotonic() - self._signalled > grace_seconds:
            self._kill()

    def _kill(self) -> None:
        """Kill it and its child processes."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def close_input(self) -> None:
        """Let it end: there are no more jobs."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()

    def close(self) -> str:
        """Wait for it to end, else kill it; returns how it ended, in words."""
        self.close_input()
        assert self._process.stdout is not None
        self._process.stdout.close()
        deadline = time.monotonic() + CLOSE_SECONDS
        while not self.has_exited() and time.monotonic() < deadline:
            time.sleep(0.01)
        self._kill()  # before its process id can be reused
        return how_ended(self._process.wait())


def _answer(line: bytes) -> dict[str, Any] | None:
    # Libraries may print to its stdout until the worker redirects it.
    with suppress(ValueError):
        answer = json.loads(line)
        if isinstance(answer, dict) and "event" in answer:
            return answer
    return None


def _cores(slot: int, slots: int) -> Sequence[int]:
    """The cores of a slot, shared with no other slot if there are enough."""
    if not hasattr(os, "sched_getaffinity"):
        return range(max(1, (os.cpu_count() or 1) // slots))
    cores = sorted(os.sched_getaffinity(0))
    share = max(1, len(cores) // slots)
    first = slot * share % len(cores)
    return cores[first : first + share]


def gpus_of(slot: int, devices: int, gpus: Sequence[str]) -> Sequence[str]:
    """The GPUs of a slot.

    A run on one GPU shares it with others if there are more slots than GPUs; one on several has
    them for itself.

    Args:
        slot: From 0.
        devices: How many GPUs each slot has.
        gpus: All of them.
    """
    if devices == 1:
        return [gpus[slot % len(gpus)]]
    return gpus[slot * devices : (slot + 1) * devices]


def _environment(
    key: ProcessKey, slot: int, slots: int, threads: int, devices: int
) -> dict[str, str]:
    variables = {} if hasattr(os, "sched_setaffinity") else dict.fromkeys(THREADS, str(threads))
    # Not for gpu:1, whose index counts all GPUs.
    if key.device in ("gpu", "auto") and (gpus := visible_gpus()):
        variables["CUDA_VISIBLE_DEVICES"] = ",".join(gpus_of(slot, devices, gpus))
        if devices == 1 and (sharing := -(-slots // len(gpus))) > 1:
            # Else the first process takes nearly all memory.
            memory = {"XLA_PYTHON_CLIENT_MEM_FRACTION": f"{0.9 / sharing:.2f}"}
            memory["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"
            variables |= {name: v for name, v in memory.items() if name not in os.environ}
    return variables
