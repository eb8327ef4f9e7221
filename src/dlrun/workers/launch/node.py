"""Another node of a launched run: it starts its processes, and tells node 0 what they do."""

from __future__ import annotations

import logging
import select
import socket
import time
from collections.abc import Mapping, Sequence
from typing import Any

from dlrun.errors import DlrunError
from dlrun.workers.launch.attempt import STOP_SECONDS
from dlrun.workers.launch.head import TICK_SECONDS
from dlrun.workers.launch.link import Link
from dlrun.workers.launch.plan import Plan
from dlrun.workers.launch.ranks import Ranks

log = logging.getLogger("dlrun")

RETRY_SECONDS = 0.5


def join(plan: Plan, signals: Sequence[int]) -> int:
    """Take part in a launched run; returns the exit code.

    Args:
        plan: What is launched.
        signals: The signals that have come so far.

    Raises:
        DlrunError: If node 0 does not answer, or refuses this machine.
    """
    connection = _connect(plan, signals)
    if connection is None:
        log.warning("interrupted")
        return 128 + signals[0]
    link = Link(connection)
    link.send(**plan.hello())
    ranks = Ranks(plan, connection.getsockname()[0])
    member = _Member(plan, link, ranks)
    told = 0
    try:
        while member.code is None:
            readable, _, _ = select.select([link], [], [], TICK_SECONDS)
            for message in link.read() if readable else ():
                member.take(message)
            for event in ranks.events():
                link.send(**event)
            for number in signals[told:]:
                link.send(event="signal", number=number)
            told = len(signals)
            if told > 1:
                return 128 + signals[0]
            link.beat()
            member.check()
        return member.code
    finally:
        ranks.close(0)
        link.close()


class _Member:
    """What node 0 has told this machine, and what it does about it."""

    def __init__(self, plan: Plan, link: Link, ranks: Ranks) -> None:
        self._plan = plan
        self._link = link
        self._ranks = ranks
        self._stop_at: float | None = None  # once the run has failed
        self.code: int | None = None

    def take(self, message: Mapping[str, Any]) -> None:
        """Obey a message.

        Raises:
            DlrunError: If this machine is refused.
        """
        if "refused" in message:
            raise DlrunError(str(message["refused"]))
        if "start" in message:
            self._stop_at = None
            self._ranks.start(int(message["start"]), None, None)
        if "reason" in message:
            log.error("error: %s", message["reason"])
            self._ranks.tell(str(message["reason"]))
            self._stop_at = time.monotonic() + STOP_SECONDS
        if "stop" in message:
            self._ranks.close(float(message["stop"]))
        if "done" in message:
            self.code = int(message["done"])

    def check(self) -> None:
        """End what has had its time.

        Raises:
            DlrunError: If node 0 is lost.
        """
        if self.code is None and (why := self._link.why_lost()) is not None:
            where = f"{self._plan.host}:{self._plan.port}"
            raise DlrunError(f"node 0 at {where}: {why}", exit_code=1)
        if self._stop_at is not None and time.monotonic() > self._stop_at:
            self._ranks.close(0)


def _connect(plan: Plan, signals: Sequence[int]) -> socket.socket | None:
    """Connect to node 0; None if a signal came first.

    Raises:
        DlrunError: If it does not answer in time.
    """
    deadline = time.monotonic() + plan.timeout
    while not signals:
        try:
            return socket.create_connection((plan.host, plan.port), timeout=5)
        except OSError as error:
            if time.monotonic() > deadline:
                raise DlrunError(
                    f"node 0 does not answer at {plan.host}:{plan.port} within"
                    f" {plan.timeout:g} s: {error.strerror or error}",
                    hint="start the same command there with --node-rank 0",
                    exit_code=1,
                ) from None
        time.sleep(RETRY_SECONDS)
    return None
