"""One start of a launched run's processes, until all of them have ended."""

from __future__ import annotations

import logging
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from dlrun.system import ranks as groups
from dlrun.workers.launch.link import listen
from dlrun.workers.launch.ranks import Event, name_of

if TYPE_CHECKING:
    from dlrun.workers.launch.head import Head

log = logging.getLogger("dlrun")

SETTLE_SECONDS = 4.0  # for a lost process to be found dead, before others are believed
STOP_SECONDS = 15.0  # for rank 0 to record why the run has ended


class Attempt:
    """One start of the processes, as node 0 sees it.

    Args:
        head: The launcher of node 0.
    """

    def __init__(self, head: Head) -> None:
        self._head = head
        self._plan = head.plan
        self._ready: set[int] = set()
        self._lost: dict[int, tuple[str, float]] = {}  # the error, and how long it has waited
        self._lost_since = 0.0
        self._failed: dict[int, str] = {}
        self._ended: dict[int, int] = {}
        self._reason: str | None = None
        self._failed_first: int | None = None
        self._failed_at = 0.0
        self._heard: Counter[int] = Counter()  # signals of each machine: Slurm signals all of them
        self._signalled, self._signal = 0, 0  # how often, and by which at first
        self._again = True

    def run(self) -> tuple[int, bool]:
        """The exit code, and whether the run may go on."""
        head, plan = self._head, self._plan
        with listen(plan.host, 0, "rank 0") as meeting:
            port = meeting.getsockname()[1]
            head.send(start=port)
            head.ranks.start(port, meeting, head.opened)
        started = time.monotonic()
        try:
            while 0 not in self._ended and not self._is_over():
                others = head.poll()  # the end of rank 0 may end them: it is taken first
                for event in (*head.ranks.events(), *others):
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
            head.ranks.close(seconds)

    def _is_over(self) -> bool:
        """Whether rank 0 has had its time to end by itself."""
        now = time.monotonic()
        if self._reason:
            return now - self._failed_at > STOP_SECONDS
        return self._signalled > 1

    def _outcome(self) -> tuple[int, bool]:
        code = self._ended.get(0)
        if self._signalled:
            # A signal that comes late ends a process that has ended the run.
            return (code if code is not None and code > 0 else 128 + self._signal), False
        # Rank 0 has refused it too, or has failed alike, and said why.
        alike = code == 2 or (code == 1 and self._failed_alike())
        if self._reason is None or alike:
            return (code if code is not None and code >= 0 else 1), False
        if not (code == 1 and 0 in self._lost):  # else rank 0 has said so
            log.error("error: %s%s", self._reason, self._hint(self._reason))
        return 1, self._again

    def _hint(self, reason: str) -> str:
        """How to go on; nothing if rank 0 has not opened a run's directory."""
        if self._head.opened is None:
            return ""
        from dlrun.checkpoints.store import describe_newest
        from dlrun.remote.places import typed_path

        path = Path(self._head.opened)
        newest = describe_newest(path / "checkpoints")
        way = groups.way_on(newest, typed_path(path), reason=reason, resume=self._plan.resume)
        return f"\n\nhint: {way}"

    def _failed_alike(self) -> bool:
        """Whether rank 0 has failed with the error of the process that failed first."""
        first = self._failed_first
        return first in self._failed and self._failed[first] == self._failed.get(0)

    def _take(self, event: Event) -> None:
        kind, rank = event["event"], event.get("rank", -1)
        if kind == "ready":
            self._ready.add(rank)
        elif kind == "run":
            self._head.open(str(event["path"]))
        elif kind == "lost":
            self._lost_since = self._lost_since or time.monotonic()
            self._lost[rank] = str(event["text"]), float(event["seconds"])
        elif kind == "failed":
            self._failed[rank] = str(event["text"])
        elif kind == "signal":
            self._interrupt(int(event["number"]), int(event["node"]))
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
        if self._reason is None:
            self._failed_first = rank
        self._fail(f"{self._name(rank)}: {reason}")

    def _fail(self, reason: str) -> None:
        if self._reason is None and not self._signalled:
            self._reason, self._failed_at = reason, time.monotonic()
            self._head.ranks.tell(reason)
            self._head.send(reason=reason)

    def _check_lost(self) -> None:
        """Name the process that others have lost, once it is clear that none has ended."""
        if not self._lost or time.monotonic() - self._lost_since < SETTLE_SECONDS:
            return
        first = min(self._lost)
        text, seconds = self._lost[first]
        there = set(range(self._plan.count)) - set(self._ended) - set(self._lost)
        if groups.is_late(text) and there:
            self._fail(groups.no_answer(self._name(min(there)), seconds))
        else:
            self._fail(f"{self._name(first)}: it lost the others: {text}")

    def _obey(self) -> None:
        for number in self._head.signals[self._heard[0] :]:
            self._interrupt(number, 0)

    def _interrupt(self, number: int, machine: int) -> None:
        self._heard[machine] += 1
        if self._heard[machine] > self._signalled:
            self._signalled = self._heard[machine]
            self._signal = self._signal or number
            self._head.ranks.interrupt(number)

    def _name(self, rank: int) -> str:
        return name_of(rank, self._head.host_of(rank))
