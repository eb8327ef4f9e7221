"""The processes of one run: this one, rank 0, and those it starts, each with a part of the work.

Rank 0 starts the others and watches them. They end with it: each reads the pipe that rank 0 holds
open. ``torchrun`` may have started all of them instead.
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from platform import node
from typing import Any

from dlrun.errors import DlrunError, RunInterrupted, first_line
from dlrun.system import process, torchrun
from dlrun.system.child import python_command
from dlrun.system.launch_environment import PLACE, Launcher
from dlrun.system.shared_object import SharedObject, open_shared_file
from dlrun.system.signals import received
from dlrun.system.started_rank import LOST, StartedRank

START_SECONDS = 300.0  # for a process to import its framework and read its data
END_SECONDS = 10.0  # for a process to end by itself once the run is done
SETTLE_SECONDS = 3.0  # for a process to end after its connections have closed
PROCESSES_PER_CORE = 8  # of a run: a hundred on two cores would take all of a machine's memory
TIMEOUT = "distribution.timeout"


class ProcessLostError(DlrunError):
    """A process of the run has ended, or does not answer."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, exit_code=1)


@dataclass
class Group:
    """The processes of a run, as one of them sees them.

    Args:
        rank: This process' number, from 0.
        local_rank: Its number among those of this machine.
        count: The number of processes.
        rendezvous: Where they meet, as ``init_method`` of ``torch.distributed``; of ``dlrun
            launch``, host and port.
        others: The processes that this one has started.
        local_count: The number of processes on this machine.
        by: What has started them.
        launcher: The connection to ``dlrun launch``; None without.
        listens: Of rank 0 under ``dlrun launch``, the socket where they meet.
        resumed: Of rank 0 under ``dlrun launch``, the run that it continues.
        at: Where a resumed run continues, as rank 0 has told.
        resume: The command that resumes the run.
        shared: What makes the data set, once for this machine; None if each process does.
    """

    rank: int
    local_rank: int
    count: int
    rendezvous: str
    others: list[StartedRank]
    local_count: int
    by: str = "dlrun"
    launcher: Launcher | None = None
    listens: int | None = None
    resumed: str | None = None
    at: Any = None
    resume: str = "dlrun resume"
    shared: SharedObject | None = None

    @contextmanager
    def meeting(self) -> Iterator[None]:
        """Meet within this context, once every process that this one has started is ready to.

        Raises:
            DlrunError: If one has ended, or does not come.
        """
        if self.launcher:
            self.launcher.report("ready")
        elif self.rank and not torchrun.has_started_this():
            print("ready", flush=True)
        deadline = time.monotonic() + START_SECONDS
        for other in self.others:
            if not other.is_ready(deadline):
                late = f"{other.name()} has not come within {START_SECONDS:.0f} s"
                raise DlrunError(other.reason() or late, exit_code=1)
        with self.launcher.meeting() if self.launcher else nullcontext():
            yield

    def is_left(self) -> bool:
        """Whether a process that this one has started has ended."""
        return not all(other.lives() for other in self.others)

    def explain(self, error: BaseException, seconds: float) -> BaseException | None:
        """What to raise where this process has lost the others; None for the error itself.

        Args:
            error: What the framework has raised.
            seconds: How long it waits for an answer.
        """
        if self.launcher:
            self.launcher.report("lost", text=first_line(error), seconds=seconds)
            reason = self.launcher.wait_for_reason(4 * SETTLE_SECONDS)
            return ProcessLostError(reason) if reason else None
        if self.rank:
            return SystemExit(LOST)  # rank 0 says why
        if self.by == "torchrun":
            return self._explain_under_torchrun(error, seconds)
        deadline = time.monotonic() + SETTLE_SECONDS
        while self.others and time.monotonic() < deadline:
            for other in self.others:
                if (reason := other.reason()) is not None:
                    return ProcessLostError(reason)
            time.sleep(0.05)
        for other in self.others:
            if other.lives() and is_late(first_line(error)):
                reason = no_answer(other.name(), seconds)
                return ProcessLostError(reason)
        return None

    def _explain_under_torchrun(self, error: BaseException, seconds: float) -> BaseException:
        if signals := received():  # the others have got them too
            return RunInterrupted(signals[0])
        name = "rank 1" if self.count == 2 else f"one of ranks 1 to {self.count - 1}"
        if is_late(first_line(error)):
            return ProcessLostError(no_answer(name, seconds))
        return ProcessLostError(
            f"{name}: the connection was closed; torchrun says which process ended, and how"
        )


_current: list[Group] = []
_launched: list[Group] = []


def way_on(newest: str, path: str, *, reason: str, resume: str | None = None) -> str:
    """How to go on with a run that has lost a process.

    Args:
        newest: What it can go on from.
        path: Its directory, as it is typed.
        reason: Why it has lost it.
        resume: The command that resumes it; by default that of this process' run.
    """
    resume = resume or resume_command()
    more_time = f", with a longer {TIMEOUT} if it only took long" if TIMEOUT in reason else ""
    return f"{newest}; resume with: {resume} {path}{more_time}"


def resume_command() -> str:
    """The command that resumes the run of this process."""
    return group.resume if (group := current()) else "dlrun resume"


def is_launched() -> bool:
    """Whether ``dlrun launch`` has started this process."""
    group = current()
    return group is not None and group.launcher is not None


def is_late(text: str) -> bool:
    """Whether an error of a collective says that another process gave no answer in time."""
    return "timed out" in text.lower() or "timeout" in text.lower()


def no_answer(name: str, seconds: float) -> str:
    """What to say of a process that gave no answer in time."""
    return f"{name}: no answer within {seconds:g} s ({TIMEOUT})"


def current() -> Group | None:
    """The processes of the run that this process trains; None if it is alone."""
    return _current[-1] if _current else None


@contextmanager
def start_ranks(count: int, call: str, arguments: Mapping[str, Any]) -> Iterator[Group]:
    """Start the other processes of a run; none is left at the end.

    Args:
        count: The number of processes, this one included.
        call: What each of the others calls, as ``module:function``.
        arguments: Its keywords, in JSON types.

    Raises:
        DlrunError: If they would be more than the machine can take.
    """
    if count > (most := PROCESSES_PER_CORE * process.cores()):
        raise DlrunError(
            f"device.count={count}: each device has a process, and the {process.cores()} cores of"
            f" {node()} take at most {most}",
            hint=f"device.count={most}, or fewer",
        )
    with tempfile.TemporaryDirectory(prefix="dlrun-") as folder:
        meeting = f"file://{folder}/meeting"
        file = open_shared_file()
        group = Group(0, 0, count, meeting, [], count, shared=SharedObject(file, 0, count))
        command = python_command("dlrun.system.rank_process")
        done = threading.Event()
        failed = True
        _current.append(group)
        try:
            for rank in range(1, count):
                other = StartedRank(rank, command, {"DLRUN_RANK": str(rank)}, file)
                group.others.append(other)
                place = {"rank": rank, "count": count, "rendezvous": meeting, "file": file}
                other.send({**place, "call": call, "arguments": arguments})
            threading.Thread(target=_watch, args=(group, done), daemon=True).start()
            yield group
            failed = False
        finally:
            _current.remove(group)
            done.set()
            for other in group.others:
                other.end(0 if failed else END_SECONDS)
            os.close(file)


def _watch(group: Group, done: threading.Event) -> None:
    while not done.wait(1):
        for other in group.others:
            other.watch()


@contextmanager
def join_group(group: Group) -> Iterator[None]:
    """Take part in a group that another process has started."""
    is_torchrun = group.by == "torchrun"
    if is_torchrun:
        group.shared = torchrun.shared_object(
            group.local_rank, group.local_count, seconds=START_SECONDS
        )
    _current.append(group)
    try:
        with torchrun.leave_signals() if is_torchrun and group.rank else nullcontext():
            yield
    except Exception as error:
        if group.launcher:  # all may fail alike: what rank 0 says need not be said again
            cause: BaseException = error
            while cause.__cause__ is not None:
                cause = cause.__cause__
            group.launcher.report("failed", text=first_line(cause))
        raise
    finally:
        _current.remove(group)


def started_outside() -> Group | None:
    """The processes that ``torchrun`` or ``dlrun launch`` has started; None without them."""
    if _launched:
        return _launched[0]
    if (place := os.environ.pop(PLACE, None)) is not None:  # not for a process that this one starts
        values = json.loads(place)
        launcher = Launcher(values.pop("report"), values["rank"])
        values["shared"] = SharedObject(*values.pop("file"))
        _launched.append(Group(**values, others=[], by="dlrun launch", launcher=launcher))
        return _launched[0]
    if not torchrun.has_started_this():
        return None
    rank, local, count, local_count = torchrun.place()
    return Group(rank, local, count, "env://", [], local_count, by="torchrun")
