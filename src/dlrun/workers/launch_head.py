"""Node 0 of a launched run: it brings the machines together, and decides how the run ends."""

from __future__ import annotations

import logging
import os
import select
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from platform import node
from typing import Any

from dlrun.errors import DlrunError, bounded
from dlrun.system import ranks as groups
from dlrun.workers.launch_link import Link
from dlrun.workers.launch_plan import Plan, differing
from dlrun.workers.launch_ranks import Event, Ranks, name_of

log = logging.getLogger("dlrun")

TICK_SECONDS = 0.1
SETTLE_SECONDS = 4.0  # for a lost process to be found dead, before others are believed
STOP_SECONDS = 15.0  # for rank 0 to record why the run has ended


class Head:
    """The launcher of node 0.

    Args:
        plan: What is launched.
        signals: The signals that have come so far.
        late_seconds: The run's ``distribution.timeout``.
    """

    def __init__(self, plan: Plan, signals: Sequence[int], late_seconds: float) -> None:
        self._plan = plan
        self._signals = signals
        self._late_seconds = late_seconds
        self._ranks = Ranks(plan, plan.host)
        self._listens = _listen(plan.host, plan.port, "node 0") if plan.nodes > 1 else None
        self._new: list[Link] = []
        self._nodes: dict[int, Link] = {}
        self._run: str | None = None  # once rank 0 has opened its directory

    def run(self) -> int:
        """Launch the run; returns the exit code.

        Raises:
            DlrunError: If a machine does not come.
        """
        code = 1
        try:
            for attempt in range(self._plan.restarts + 1):
                if attempt:
                    what = f"dlrun resume {self._run}" if self._run else "nothing was trained yet"
                    log.warning("restart %d of %d: %s", attempt, self._plan.restarts, what)
                if not self._gather():
                    return (code := 130)
                trial = _Attempt(self)
                code, again = trial.run()
                if not again:
                    break
            return code
        finally:
            for link in self._nodes.values():
                link.send(done=code)
            for link in (*self._nodes.values(), *self._new):
                link.close()
            if self._listens:
                self._listens.close()

    def host_of(self, rank: int) -> str:
        """The name of the machine of a rank."""
        number = rank // self._plan.per_node
        return self._nodes[number].host if number in self._nodes else node()

    def send(self, **message: Any) -> None:
        """Tell all other machines."""
        for link in self._nodes.values():
            link.send(**message)

    def poll(self) -> list[Event]:
        """What the other machines have told, and which of them are lost."""
        links = [*self._new, *self._nodes.values()]
        sources: list[Any] = [*links, *([self._listens] if self._listens else [])]
        readable: Sequence[Any] = ()
        if sources:
            readable, _, _ = select.select(sources, [], [], TICK_SECONDS)
        else:
            time.sleep(TICK_SECONDS)
        events: list[Event] = []
        for source in readable:
            if self._listens and source is self._listens:
                with suppress(OSError):
                    self._new.append(Link(source.accept()[0]))
                continue
            for message in source.read():
                if source.number is None:
                    self._welcome(source, message)
                elif isinstance(message.get("event"), str):
                    events.append({**message, "node": source.number})
        for link in links:
            link.beat()
            if (why := link.lost()) is not None:
                link.close()
                if link in self._new:
                    self._new.remove(link)
                if link.number is not None and self._nodes.get(link.number) is link:
                    del self._nodes[link.number]
                    of = self._plan.ranks_of(link.number)
                    names = f"rank {of[0]}" if len(of) == 1 else f"ranks {of[0]} to {of[-1]}"
                    reason = f"{names} on {link.host}: {why} (the dlrun launch of that machine)"
                    events.append({"event": "gone", "node": link.number, "reason": reason})
        return events

    def _gather(self) -> bool:
        """Wait for all machines; False if a signal came first.

        Raises:
            DlrunError: If one does not come.
        """
        plan, deadline = self._plan, time.monotonic() + self._plan.timeout
        while missing := [n for n in range(1, plan.nodes) if n not in self._nodes]:
            if self._signals:
                return False
            if time.monotonic() > deadline:
                one = len(missing) == 1
                raise DlrunError(
                    f"node{'' if one else 's'} {', '.join(map(str, missing))} of {plan.nodes}"
                    f" {'has' if one else 'have'} not come to {plan.host}:{plan.port} within"
                    f" {plan.timeout:g} s",
                    hint=f"start the same command there with --node-rank {missing[0]}",
                    exit_code=1,
                )
            self.poll()
        return not self._signals

    def _welcome(self, link: Link, message: Event) -> None:
        """Take in a machine.

        Raises:
            DlrunError: If it has another command, or the number of another machine.
        """
        own, number = self._plan.hello(), message.get("node")
        if set(message) != set(own) or not isinstance(number, int):
            self._new.remove(link)
            link.close()
            return
        link.host = bounded(str(message["host"]))[:100]
        differs = [k for k in own if k not in ("node", "host") and own[k] != message[k]]
        wrong = None
        if differs:
            key = differs[0]
            theirs, here = differing(str(message[key]), str(own[key]))
            wrong = f"node {number} on {link.host} has {key} {theirs}, node 0 has {here}"
        elif number in self._nodes or not 0 < number < self._plan.nodes:
            other = self._nodes[number].host if number in self._nodes else node()
            wrong = f"two machines are --node-rank {number}: {other} and {link.host}"
        if wrong:
            link.send(refused=wrong)
            self._new.remove(link)
            link.close()
            raise DlrunError(wrong, hint="start the same command on all, but for --node-rank")
        self._new.remove(link)
        link.number = number
        self._nodes[number] = link


class _Attempt:
    """One start of the processes, until all of them have ended."""

    def __init__(self, head: Head) -> None:
        self._head = head
        self._plan = head._plan
        self._ready: set[int] = set()
        self._lost: dict[int, str] = {}
        self._lost_since = 0.0
        self._ended: dict[int, int] = {}
        self._reason: str | None = None
        self._failed_at = 0.0
        self._signalled = 0
        self._signalled_at = 0.0
        self._again = True

    def run(self) -> tuple[int, bool]:
        """The exit code, and whether the run may go on."""
        head, plan = self._head, self._plan
        with _listen(plan.host, 0, "rank 0") as meeting:
            port = meeting.getsockname()[1]
            head.send(start=port)
            head._ranks.start(port, meeting, head._run)
        started = time.monotonic()
        try:
            while 0 not in self._ended and not self._is_over():
                for event in (*head._ranks.events(), *head.poll()):
                    self._take(event)
                self._obey()
                self._check_lost()
                late = time.monotonic() - started > groups.START_SECONDS
                if late and (missing := set(range(plan.count)) - self._ready):
                    self._fail(f"{self._name(min(missing))} has not come within"
                               f" {groups.START_SECONDS:.0f} s")  # fmt: skip
            return self._outcome()
        finally:
            seconds = 0 if self._reason or self._ended.get(0) != 0 else groups.END_SECONDS
            head.send(stop=seconds)
            head._ranks.close(seconds)

    def _is_over(self) -> bool:
        """Whether rank 0 has had its time to end by itself."""
        now = time.monotonic()
        if self._reason:
            return now - self._failed_at > STOP_SECONDS
        return self._signalled > 1

    def _outcome(self) -> tuple[int, bool]:
        code = self._ended.get(0)
        if self._signalled:
            return (code if code is not None and code > 0 else 130), False
        if self._reason is None:
            return (code if code is not None and code >= 0 else 1), False
        if not (code == 1 and 0 in self._lost):  # else rank 0 has said so
            log.error("error: %s\n\nhint: %s", self._reason, groups.HINT)
        return 1, self._again

    def _take(self, event: Event) -> None:
        kind, rank = event["event"], event.get("rank", -1)
        if kind == "ready":
            self._ready.add(rank)
        elif kind == "run":
            self._head._run = str(event["path"])
        elif kind == "lost":
            self._lost_since = self._lost_since or time.monotonic()
            self._lost[rank] = str(event["text"])
        elif kind == "signal":
            self._interrupt(int(event["number"]))
        elif kind == "gone":
            self._fail(event["reason"])
        elif kind == "ended":
            self._end(rank, int(event["code"]), str(event["reason"]))

    def _end(self, rank: int, code: int, reason: str) -> None:
        self._ended[rank] = code
        if code == 0 or self._signalled or (rank in self._lost and code > 0):
            return
        if rank == 0 and code > 0:  # it has said why
            return
        self._again &= code != 2
        self._fail(f"{self._name(rank)}: {reason}")

    def _fail(self, reason: str) -> None:
        if self._reason is None and not self._signalled:
            self._reason, self._failed_at = reason, time.monotonic()
            self._head._ranks.tell(reason)
            self._head.send(reason=reason)

    def _check_lost(self) -> None:
        """Name the process that others have lost, once it is clear that none has ended."""
        if not self._lost or time.monotonic() - self._lost_since < SETTLE_SECONDS:
            return
        first = min(self._lost)
        there = set(range(self._plan.count)) - set(self._ended) - set(self._lost)
        if groups.is_late(self._lost[first]) and there:
            self._fail(groups.no_answer(self._name(min(there)), self._head._late_seconds))
        else:
            self._fail(f"{self._name(first)}: it lost the others: {self._lost[first]}")

    def _obey(self) -> None:
        signals = self._head._signals
        while self._signalled < len(signals):
            self._interrupt(signals[self._signalled])

    def _interrupt(self, number: int) -> None:
        self._signalled += 1
        self._head._ranks.interrupt(number)

    def _name(self, rank: int) -> str:
        return name_of(rank, self._head.host_of(rank))


def _listen(host: str, port: int, who: str) -> socket.socket:
    """Listen on this address alone.

    Raises:
        DlrunError: If the machine has no such address, or the port is taken.
    """
    try:
        family = socket.getaddrinfo(host, port)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise DlrunError(
            f"{who} can't listen on {host}:{port}: {os.strerror(error.errno or 0)}",
            hint="--master is an address of node 0, with a free port",
        ) from None
