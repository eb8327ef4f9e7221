"""Keep a process that is measured from taking the memory that the machine needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dlrun.errors import DlrunError, RunInterrupted
from dlrun.system import memory

SHARE = 0.8  # of what is available when the command starts
LEFT = 0.05  # of it that must stay available, whoever takes the rest


class MemoryGuard:
    """The limit, and what is refused because of it.

    Args:
        received: The signals that have come, which end what is watched.
        limit: What a process may take, in bytes; None for a share of what is available.
    """

    def __init__(self, received: Sequence[int] = (), limit: int | None = None) -> None:
        available = memory.available_bytes()
        share = None if available is None else int(SHARE * available)
        self.limit = share if limit is None else min(limit, share or limit)
        self._least = 0 if available is None else int(LEFT * available)
        self._received = received
        self._seen: int | None = None

    def check(self, size: int, fitting: Sequence[Mapping[str, Any]], device: str | None) -> None:
        """Refuse a batch on a CPU that would take more memory than the limit.

        Memory grows in a line with the batch, so that two smaller ones tell.

        Args:
            size: Of the batch.
            fitting: The rows that were measured.
            device: As ``kind:index``; None before the first.

        Raises:
            DlrunError: If it would.
        """
        if self.limit is None or not str(device).startswith("cpu") or len(fitting) < 2:
            return
        (smaller, before), (larger, at) = sorted(
            (row["batch_size"], row["peak_memory_bytes"]) for row in fitting
        )[-2:]
        slope = max(0.0, (at - before) / (larger - smaller))
        expected = at + slope * (size - larger)
        if expected > self.limit:
            raise DlrunError(
                f"out of memory: it would take about {_gigabytes(expected)}, and"
                f" {_gigabytes(self.limit)} may be used",
                exit_code=1,
            )

    def watch(self, pid: int) -> None:
        """End a process that holds more than the limit, or leaves the machine too little.

        Raises:
            DlrunError: If it does.
            RunInterrupted: If a signal has come.
        """
        if self._received:
            raise RunInterrupted(self._received[0])
        if pid != self._seen:
            self._seen = pid
            memory.offer_to_be_killed(pid)
        if self.limit is None:
            return
        if memory.resident_bytes(pid) > self.limit:
            raise DlrunError(
                f"out of memory: it takes more than the {_gigabytes(self.limit)} that may be used",
                exit_code=1,
            )
        available = memory.available_bytes()
        if available is not None and available < self._least:
            raise DlrunError(
                f"out of memory: only {_gigabytes(available)} were left to the machine", exit_code=1
            )


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:.2f} GB"
