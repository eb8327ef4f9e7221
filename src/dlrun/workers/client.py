"""The processes of a sweep, as the sweep sees them."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from dlrun.system.child import python_command
from dlrun.workers.key import ProcessKey

CLOSE_SECONDS = 5.0  # for a worker to end by itself
# How many threads a library takes, where the system can't give a process some of the cores.
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "NPROC")


class HasProgram(Protocol):
    """A job, as far as a worker needs to know it."""

    @property
    def program(self) -> tuple[str, ...]:
        """What its compiled program depends on."""


Job = TypeVar("Job", bound=HasProgram)


class Worker(Generic[Job]):
    """A process that runs jobs of one key, one at a time.

    Args:
        key: What its jobs have in common.
        slot: Its place among those that run at once, from 0.
        slots: How many run at once.
        errors: The file that its stderr goes to.
    """

    def __init__(self, key: ProcessKey, slot: int, slots: int, errors: Path) -> None:
        self.key = key
        self.slot = slot
        self.job: Job | None = None
        self.program: tuple[str, ...] | None = None
        self.began = 0.0
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
                env={**os.environ, **_environment(key, slot, slots, len(cores))},
                # Ctrl-C is for the sweep, which tells its workers.
                start_new_session=True,
            )
        assert self._process.stdout is not None
        os.set_blocking(self._process.stdout.fileno(), False)

    def fileno(self) -> int:
        """Of its answers, to wait for them."""
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def give(self, job: Job, message: Mapping[str, Any]) -> None:
        """Have it run a job; a worker that has died does not take it, and tells by its answers."""
        self.job, self.program, self.began = job, job.program, time.monotonic()
        self.answer(message)

    def free(self, result: Mapping[str, Any] | None) -> None:
        """Its job has ended."""
        seconds = time.monotonic() - self.began
        if self.runs == 0 and result:  # what the first run took beyond its training
            self.start_seconds = max(0.0, seconds - result["seconds"]["train"])
        self.runs, self.run_seconds = self.runs + 1, self.run_seconds + seconds
        if self.runs == 1:
            self.run_seconds -= self.start_seconds
        self.job = None

    def answer(self, message: Mapping[str, Any]) -> None:
        """Write one line to it."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()

    def read(self) -> tuple[list[dict[str, Any]], bool]:
        """What it has answered by now, and whether that was the last."""
        ended = self.gone()  # a process that it has started may keep its pipes open
        while True:
            try:
                read = os.read(self.fileno(), 65536)
            except BlockingIOError:
                break
            if not read:
                ended = True
                break
            self._text += read
        *lines, self._text = self._text.split(b"\n")
        return [answer for line in lines if (answer := _answer(line))], ended

    def gone(self) -> bool:
        """Whether it has ended."""
        if not hasattr(os, "waitid"):
            return self._process.poll() is not None
        how = os.WEXITED | os.WNOHANG | os.WNOWAIT  # its number stays its own until close()
        return os.waitid(os.P_PID, self._process.pid, how) is not None

    def stop(self, grace_seconds: float) -> None:
        """Ask it to end its run at the end of the batch; after that time, end it."""
        if self._signalled is None:
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGTERM)  # Popen's would reap it first
            self._signalled = time.monotonic()
        elif time.monotonic() - self._signalled > grace_seconds:
            self._kill()

    def _kill(self) -> None:
        """End it, and what it has started."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def dismiss(self) -> None:
        """Let it end: there are no more jobs for it."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()

    def close(self) -> str:
        """Wait for it to end; how it ended, in words."""
        self.dismiss()
        assert self._process.stdout is not None
        self._process.stdout.close()
        until = time.monotonic() + CLOSE_SECONDS
        while not self.gone() and time.monotonic() < until:
            time.sleep(0.01)
        self._kill()  # before the number of its process is anybody else's
        code = self._process.wait()
        if code < 0:
            name = signal.Signals(-code).name
            return f"its process was killed by {name}" + (
                ", perhaps for want of memory" if code == -signal.SIGKILL else ""
            )
        return f"its process ended with exit code {code}"


def _answer(line: bytes) -> dict[str, Any] | None:
    # Before it has taken its stdout away from them, others may write there as well.
    with suppress(ValueError):
        answer = json.loads(line)
        if isinstance(answer, dict) and "event" in answer:
            return answer
    return None


def _cores(slot: int, slots: int) -> Sequence[int]:
    """This slot's share of the cores: each once, where there are enough."""
    if not hasattr(os, "sched_getaffinity"):
        return range(max(1, (os.cpu_count() or 1) // slots))
    cores = sorted(os.sched_getaffinity(0))
    share = max(1, len(cores) // slots)
    first = slot * share % len(cores)
    return cores[first : first + share]


def _environment(key: ProcessKey, slot: int, slots: int, threads: int) -> dict[str, str]:
    variables = {} if hasattr(os, "sched_setaffinity") else dict.fromkeys(THREADS, str(threads))
    if key.device in ("gpu", "auto") and (gpus := visible_gpus()):  # gpu:1 is counted among all
        variables["CUDA_VISIBLE_DEVICES"] = gpus[slot % len(gpus)]
        if (sharing := -(-slots // len(gpus))) > 1:  # else the first takes nearly all
            shares = {"XLA_PYTHON_CLIENT_MEM_FRACTION": f"{0.9 / sharing:.2f}"}
            shares["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"
            variables |= {name: v for name, v in shares.items() if name not in os.environ}
    return variables


def visible_gpus() -> list[str]:
    """The GPUs of NVIDIA that a process would see, as ``CUDA_VISIBLE_DEVICES`` names them."""
    if (told := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        names = [name.strip() for name in told.split(",")]
        return list(itertools.takewhile(lambda name: name not in ("", "-1"), names))
    found = Path("/proc/driver/nvidia/gpus")
    return [str(index) for index, _ in enumerate(found.iterdir())] if found.is_dir() else []
