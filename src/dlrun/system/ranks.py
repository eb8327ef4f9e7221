"""The processes of one run: this one, rank 0, and those it starts, each with a part of the work.

Rank 0 starts the others and watches them. They end with it: each reads the pipe that rank 0 holds
open. ``torchrun`` may have started all of them instead.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from platform import node
from typing import IO, Any

from dlrun.errors import DlrunError
from dlrun.system.child import how_ended, python_command

START_SECONDS = 300.0  # for a process to import its framework and read its data
END_SECONDS = 10.0  # for a process to end by itself once the run is done
STOPPED_SECONDS = 20.0  # for a process that a signal has stopped to go on
TORCHRUN = "TORCHELASTIC_RUN_ID"


@dataclass
class Group:
    """The processes of a run, as one of them sees them.

    Args:
        rank: This process' number, from 0.
        local_rank: Its number among those of this machine.
        count: The number of processes.
        rendezvous: Where they meet, as ``init_method`` of ``torch.distributed``.
        others: The processes that this one has started.
    """

    rank: int
    local_rank: int
    count: int
    rendezvous: str
    others: list[_Other]

    def meet(self) -> None:
        """Wait until every process that this one has started is ready to meet.

        Raises:
            DlrunError: If one has ended, or does not come.
        """
        if self.rank and TORCHRUN not in os.environ:
            print("ready", flush=True)
        deadline = time.monotonic() + START_SECONDS
        for other in self.others:
            other.wait_until_ready(deadline)

    def explain(self, error: BaseException) -> DlrunError | None:
        """What ended the run, if another process did; None if all of them live."""
        deadline = time.monotonic() + 3  # the connection closes before the process has ended
        while self.others and time.monotonic() < deadline:
            for other in self.others:
                if (reason := other.reason()) is not None:
                    hint = "the newest checkpoint is complete: continue with 'dlrun resume'"
                    return DlrunError(reason, hint=hint, exit_code=1)
            time.sleep(0.05)
        return None


class _Other:
    """A process that this one has started."""

    def __init__(self, rank: int, command: list[str], environment: Mapping[str, str]) -> None:
        self.rank = rank
        self._log: IO[str] = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env={**os.environ, **environment},
            start_new_session=True,  # Ctrl-C goes to rank 0, which ends the others
        )
        self._stopped_since: float | None = None
        self._was_stopped = False

    def send(self, job: Mapping[str, Any]) -> None:
        """Give it its job."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(job).encode() + b"\n")
            self._process.stdin.flush()

    def wait_until_ready(self, deadline: float) -> None:
        """See :meth:`Group.meet`."""
        assert self._process.stdout is not None
        seconds = max(0.0, deadline - time.monotonic())
        there, _, _ = select.select([self._process.stdout], [], [], seconds)
        if there and self._process.stdout.readline():
            return
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=3)
        reason = self.reason() or f"{self._name()} has not come within {START_SECONDS:.0f} s"
        raise DlrunError(reason, exit_code=1)

    def reason(self) -> str | None:
        """Why it has ended; None while it lives."""
        code = self._process.poll()
        if code is None:
            return None
        if self._was_stopped:
            return f"{self._name()}: it was stopped, and did not go on for {STOPPED_SECONDS:.0f} s"
        self._log.seek(0)
        return f"{self._name()}: {how_ended(code, self._log.read())}"

    def watch(self) -> None:
        """Kill it if it has been stopped for long: no collective of the others would return."""
        try:
            stat = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="ascii")
        except OSError:
            return
        now = time.monotonic()
        if stat.rpartition(")")[2].split()[0] not in ("T", "t"):
            self._stopped_since = None
        elif self._stopped_since is None:
            self._stopped_since = now
        elif now - self._stopped_since > STOPPED_SECONDS:
            self._was_stopped = True
            self._process.kill()

    def end(self, seconds: float) -> None:
        """Let it end, else kill it."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=seconds)
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()
        self._log.close()

    def _name(self) -> str:
        return f"rank {self.rank} on {node()}"


_current: list[Group] = []


def current() -> Group | None:
    """The processes of the run that this process trains; None if it is alone."""
    return _current[-1] if _current else None


@contextmanager
def started(count: int, call: str, arguments: Mapping[str, Any]) -> Iterator[Group]:
    """Start the other processes of a run; none is left at the end.

    Args:
        count: The number of processes, this one included.
        call: What each of the others calls, as ``module:function``.
        arguments: Its keywords, in JSON types.
    """
    with tempfile.TemporaryDirectory(prefix="dlrun-") as folder:
        meeting = f"file://{folder}/meeting"
        group = Group(0, 0, count, meeting, [])
        command = python_command("dlrun.system.rank_process")
        done = threading.Event()
        failed = True
        _current.append(group)
        try:
            for rank in range(1, count):
                other = _Other(rank, command, {"DLRUN_RANK": str(rank)})
                group.others.append(other)
                place = {"rank": rank, "count": count, "rendezvous": meeting}
                other.send({**place, "call": call, "arguments": arguments})
            threading.Thread(target=_watch, args=(group, done), daemon=True).start()
            yield group
            failed = False
        finally:
            _current.remove(group)
            done.set()
            for other in group.others:
                other.end(0 if failed else END_SECONDS)


def _watch(group: Group, done: threading.Event) -> None:
    while not done.wait(1):
        for other in group.others:
            other.watch()


@contextmanager
def joined(group: Group) -> Iterator[None]:
    """Take part in a group that another process has started."""
    _current.append(group)
    try:
        yield
    finally:
        _current.remove(group)


def of_torchrun() -> Group | None:
    """The processes that ``torchrun`` has started, of which this is one; None without it."""
    if TORCHRUN not in os.environ:
        return None
    rank, local, count = (int(os.environ[n]) for n in ("RANK", "LOCAL_RANK", "WORLD_SIZE"))
    return Group(rank, local, count, "env://", [])
