"""The batch sizes of ``dlrun bench --batch``."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

from dlrun.errors import DlrunError
from dlrun.proofs.batch_size_search import (
    NO_MEMORY,
    SMALLEST,
    SizeSettings,
    search_sizes,
    without_batch_size,
)

log = logging.getLogger("dlrun")


def add_batch_sizes(
    rows: Sequence[dict[str, Any]],
    typed: Sequence[str],
    settings: SizeSettings,
    *,
    batch_size: int,
    every_loop: bool,
    end: float,
) -> None:
    """Search batch sizes, and add what is found to a row as ``batch``.

    The search goes up from the config's, which the row has measured, or if that does not fit from
    a small one.

    Args:
        rows: Of ``dlrun bench``.
        typed: The overrides that the rows share.
        settings: How to search; each row gets its part of the time until ``end``.
        batch_size: The config's.
        every_loop: Whether to search for each row, or for the fastest one of each backend.
        end: When to stop, as :func:`time.monotonic` tells it.

    Raises:
        RunInterrupted: If a signal stopped it.
    """
    chosen = choose_rows(rows, every_loop=every_loop)
    for number, row in enumerate(chosen):
        left = (end - time.monotonic()) / (len(chosen) - number)
        member = [f"backend={row['backend']}", f"loop={row['loop']}"]
        fits = _fits(row, batch_size, settings.memory_limit)
        first = batch_size if fits else min(SMALLEST, batch_size, row["train_samples"] or SMALLEST)
        log.info("batch  %s:", " ".join(member))
        try:
            row["batch"] = search_sizes(
                [*without_batch_size(typed), *member],
                settings._replace(minimum=first, budget=left),
                row if fits else None,
            )
        except DlrunError as error:
            row["batch"] = {"error": error.message, "rows": [], "use": None}


def _fits(row: Mapping[str, Any], batch_size: int, memory_limit: float | None) -> bool:
    """Whether a row is that of whole batches, within a limit of the process in GB on a CPU."""
    if not row["step_seconds"] or batch_size > row["train_samples"]:
        return False
    if memory_limit is None or not row["device"].startswith("cpu"):
        return True
    return bool(row["peak_memory_bytes"] <= memory_limit * 1e9)


def choose_rows(rows: Sequence[dict[str, Any]], *, every_loop: bool) -> list[dict[str, Any]]:
    """The rows to search for, the fastest first, should the time not suffice."""

    def seconds(row: Mapping[str, Any]) -> float:
        return float(row["step_seconds"] or math.inf)

    possible = [row for row in rows if row["step_seconds"] or NO_MEMORY.search(row["error"])]
    possible.sort(key=seconds)
    if every_loop:
        return possible
    first: dict[str, dict[str, Any]] = {}
    for row in possible:
        first.setdefault(row["backend"], row)
    return list(first.values())
