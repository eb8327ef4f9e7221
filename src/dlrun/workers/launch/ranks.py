"""The processes of a launched run on this machine."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from platform import node
from typing import IO, Any

from dlrun.system.child import how_ended, python_command, send_line
from dlrun.system.launch_environment import PLACE
from dlrun.system.shared_object import open_shared_file
from dlrun.system.stopped_process import StoppedWatch
from dlrun.workers.launch.plan import Plan, interface_of

Event = dict[str, Any]


class _Rank:
    """One process."""

    def __init__(
        self, rank: int, words: tuple[str, ...], place: Event, environment: dict[str, str]
    ) -> None:
        self.rank = rank
        self.code: int | None = None
        reads, writes = os.pipe()
        os.set_blocking(reads, False)
        self._reports, self._text = reads, b""
        self._log: IO[str] | None = None
        if rank:
            self._log = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        listens, file = place.get("listens"), place["file"][0]
        # Node 0 prints what rank 0 prints; the others say the same.
        self.process = subprocess.Popen(
            python_command("dlrun", *words),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL if rank else None,
            stderr=self._log,
            env={**os.environ, **environment, PLACE: json.dumps({**place, "report": writes})},
            pass_fds=[writes, file, *([listens] if listens is not None else [])],
            start_new_session=True,  # Ctrl-C goes to the launcher, which ends the run
        )
        os.close(writes)
        self._watch = StoppedWatch(self.process)

    def events(self) -> Iterator[Event]:
        """What it has reported, and its end."""
        with suppress(BlockingIOError):
            while chunk := os.read(self._reports, 65536):
                self._text += chunk
        *lines, self._text = self._text.split(b"\n")
        for line in lines:
            yield {**json.loads(line), "rank": self.rank}
        self._watch.check()
        if self.code is None and (code := self.process.poll()) is not None:
            self.code = code
            reason = self._watch.reason if self._watch.killed else self._how_ended(code)
            yield {"event": "ended", "rank": self.rank, "code": code, "reason": reason}

    def _how_ended(self, code: int) -> str:
        if self._log is None:
            return how_ended(code)
        self._log.seek(0)
        return how_ended(code, self._log.read())

    def tell(self, reason: str) -> None:
        """Tell it what has ended the run."""
        send_line(self.process.stdin, {"reason": reason})

    def kill(self) -> None:
        """End it and its child processes, and release what it holds."""
        assert self.process.stdin is not None
        if self.process.poll() is None:  # else its process id may be reused
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        with suppress(OSError):
            self.process.stdin.close()
        os.close(self._reports)
        if self._log is not None:
            self._log.close()


class Ranks:
    """The processes of one machine, and what they report.

    Args:
        plan: What is launched.
        address: An address of this machine that the others reach.
    """

    def __init__(self, plan: Plan, address: str) -> None:
        self._plan = plan
        self._address = address
        self._all: list[_Rank] = []
        self._file: int | None = None

    def start(self, port: int, listens: socket.socket | None, resumed: str | None) -> None:
        """Start them.

        Args:
            port: Where rank 0 of node 0 listens.
            listens: Its socket, on node 0.
            resumed: The run that rank 0 continues; None for a new one.
        """
        plan, environment = self._plan, {}
        shared = plan.host.startswith("127.")  # one machine that plays several
        if interface := interface_of(self._address):
            names = [n for n in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME") if n not in os.environ]
            environment = dict.fromkeys(names, interface)
        self._file = open_shared_file()
        for local, rank in enumerate(plan.ranks_of(plan.node)):
            place: Event = {
                "rank": rank,
                "local_rank": local,
                "local_count": plan.count if shared else plan.per_node,
                "count": plan.count,
                "rendezvous": f"{plan.host}:{port}",
                "resume": plan.resume,
                "file": [self._file, local, plan.per_node],
            }
            if rank == 0 and listens is not None:
                place |= {"listens": listens.fileno(), "resumed": resumed}
            own = {**environment, "DLRUN_RANK": str(rank)} if rank else environment
            self._all.append(_Rank(rank, plan.words, place, own))

    def events(self) -> list[Event]:
        """What has happened since the last call."""
        return [event for rank in self._all for event in rank.events()]

    def tell(self, reason: str) -> None:
        """Tell all what has ended the run."""
        for rank in self._all:
            rank.tell(reason)

    def interrupt(self, signum: int) -> None:
        """Let rank 0 end the run at the end of its batch."""
        for rank in self._all:
            if rank.rank == 0 and rank.code is None:
                rank.process.send_signal(signum)

    def close(self, seconds: float) -> None:
        """Let them end, else kill them."""
        deadline = time.monotonic() + seconds
        while any(rank.process.poll() is None for rank in self._all) and (
            time.monotonic() < deadline
        ):
            time.sleep(0.05)
        for rank in self._all:
            rank.kill()
        self._all.clear()
        if self._file is not None:
            os.close(self._file)
            self._file = None


def name_of(rank: int, host: str | None = None) -> str:
    """What a process is called in messages."""
    return f"rank {rank} on {host or node()}"
