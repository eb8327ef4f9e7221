"""Node 0 of a launched run: it brings the machines together, and decides how the run ends."""

from __future__ import annotations

import logging
import select
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from platform import node
from shlex import quote
from typing import Any

from dlrun.errors import DlrunError, cut_message
from dlrun.workers.launch.attempt import Attempt
from dlrun.workers.launch.link import Link, listen
from dlrun.workers.launch.plan import Plan, differing
from dlrun.workers.launch.ranks import Event, Ranks
from dlrun.workers.launch.spot import Spot

log = logging.getLogger("dlrun")

TICK_SECONDS = 0.1


class Head:
    """The launcher of node 0.

    Args:
        plan: What is launched.
        signals: The signals that have come so far.
        spot: What the engine has told that placed this machine, if one did.
    """

    def __init__(self, plan: Plan, signals: Sequence[int], spot: Spot | None = None) -> None:
        self.plan = plan
        self.signals = signals
        self.ranks = Ranks(plan, plan.host)
        self._listens = listen(plan.host, plan.port, "node 0") if plan.nodes > 1 else None
        self._new: list[Link] = []
        self._nodes: dict[int, Link] = {}
        self._has_begun = False
        self._spot = spot
        self.opened = spot.previous_run if spot else None  # once rank 0 has opened its directory
        if spot and self._listens:
            spot.listens(self._listens.getsockname()[1])

    def run(self) -> int:
        """Launch the run; returns the exit code.

        Raises:
            DlrunError: If a machine does not come.
        """
        code = 1
        try:
            for attempt in range(self.plan.restarts + 1):
                if attempt:
                    what = (
                        f"dlrun resume {quote(self.opened)}"
                        if self.opened
                        else "nothing was trained yet"
                    )
                    log.warning("restart %d of %d: %s", attempt, self.plan.restarts, what)
                if number := self._gather():
                    log.warning("interrupted")
                    return (code := 128 + number)
                self._has_begun = True
                code, again = Attempt(self).run()
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

    def open(self, path: str) -> None:
        """Keep the run whose directory rank 0 has opened, which a restart resumes."""
        here = Path.cwd()
        found = Path(path)
        self.opened = str(found.relative_to(here) if found.is_relative_to(here) else found)
        if self._spot:
            self._spot.opens(self.opened)

    def host_of(self, rank: int) -> str:
        """The name of the machine of a rank."""
        number = rank // self.plan.per_node
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
            if (why := link.why_lost()) is not None:
                link.close()
                if link in self._new:
                    self._new.remove(link)
                if link.number is not None and self._nodes.get(link.number) is link:
                    del self._nodes[link.number]
                    of = self.plan.ranks_of(link.number)
                    names = f"rank {of[0]}" if len(of) == 1 else f"ranks {of[0]} to {of[-1]}"
                    reason = f"{names} on {link.host}: {why} (the dlrun launch of that machine)"
                    events.append({"event": "gone", "node": link.number, "reason": reason})
        return events

    def _gather(self) -> int:
        """Wait for all machines; returns the signal that came first, on any of them, else 0.

        Raises:
            DlrunError: If one does not come.
        """
        plan, deadline = self.plan, time.monotonic() + self.plan.timeout
        while missing := [n for n in range(1, plan.nodes) if n not in self._nodes]:
            if self.signals:
                break
            if time.monotonic() > deadline:
                one = len(missing) == 1
                raise DlrunError(
                    f"node{'' if one else 's'} {', '.join(map(str, missing))} of {plan.nodes}"
                    f" {'has' if one else 'have'} not come to {plan.host}:{plan.port} within"
                    f" {plan.timeout:g} s",
                    hint=f"see {self._spot.log_of(missing[0])}"
                    if self._spot
                    else f"start the same command there with --node-rank {missing[0]}",
                    exit_code=1,
                )
            for event in self.poll():
                if event["event"] == "signal":
                    return int(event["number"])
        return self.signals[0] if self.signals else 0

    def _welcome(self, link: Link, message: Event) -> None:
        """Take in a machine. A wrong one that comes once the run has begun does not end it.

        Raises:
            DlrunError: If it has another command, or the number of another machine.
        """
        own, number = self.plan.hello(), message.get("node")
        if set(message) != set(own) or not isinstance(number, int):
            self._new.remove(link)
            link.close()
            return
        link.host = cut_message(str(message["host"]))[:100]
        differs = [k for k in own if k not in ("node", "host") and own[k] != message[k]]
        wrong = None
        if differs:
            key = differs[0]
            theirs, here = differing(str(message[key]), str(own[key]))
            wrong = f"node {number} on {link.host} has {key} {theirs}, node 0 has {here}"
        elif number in self._nodes or not 0 < number < self.plan.nodes:
            other = self._nodes[number].host if number in self._nodes else node()
            wrong = f"two machines are --node-rank {number}: {other} and {link.host}"
        if wrong:
            link.send(refused=wrong)
            self._new.remove(link)
            link.close()
            if self._has_begun:
                log.warning("%s: it is refused, and the run goes on", wrong)
                return
            raise DlrunError(wrong, hint="start the same command on all, but for --node-rank")
        self._new.remove(link)
        link.number = number
        self._nodes[number] = link
