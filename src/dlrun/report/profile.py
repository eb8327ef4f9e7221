"""Where a run's time went: what ``profile=simple`` and ``profile=trace`` leave in ``run.json``.

The record may be copied from an untrusted source.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dlrun.checkpoints.store import Position
from dlrun.report.cells import plain
from dlrun.runs.query import number, text


@dataclass(frozen=True)
class Row:
    """A phase of a run.

    Args:
        phase: Its name.
        seconds: What it took of the run.
        share: Of all phases, from 0 to 1.
        count: How often it ran.
        each: Seconds of one time, those beside the run among them.
        beside: Seconds in threads beside the steps, which took no time of the run.
    """

    phase: str
    seconds: float
    share: float
    count: float
    each: float
    beside: float


def profile_rows(record: Mapping[str, Any]) -> list[Row]:
    """The rows of ``profile=simple``; empty if the run has none."""
    rows = record.get("profile")
    return [_row(row) for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []


def profile_lines(record: Mapping[str, Any]) -> list[str]:
    """The same as a table, line by line."""
    rows = profile_rows(record)
    if not rows:
        return []
    head = f"{'phase':<11} {'seconds':>9} {'share':>6} {'count':>9} {'each':>12}"
    part = profiled_part(record)
    return [head, *map(_line, rows), *([part] if part else [])]


def profiled_part(record: Mapping[str, Any]) -> str:
    """That the rows are of the last part of a resumed run alone; empty for one that is whole."""
    resumed = record.get("resumed")
    last = resumed[-1] if isinstance(resumed, list) and resumed else None
    after = last.get("after") if isinstance(last, Mapping) else None
    if not isinstance(after, Mapping):
        return ""
    epochs, steps = (int(_finite(after.get(key))) for key in ("epochs", "steps"))
    return f"of what ran after {Position(epochs, steps)}, where the run was resumed"


def traced_steps(record: Mapping[str, Any]) -> str:
    """The steps that ``profile=trace`` recorded, and their file in the run directory; or empty."""
    trace = record.get("trace")
    if not isinstance(trace, Mapping):
        return ""
    first, last, file = (text(trace.get(key)) for key in ("first_step", "last_step", "file"))
    return f"steps {first} to {last}, in {file}"


def _row(of: Mapping[str, Any]) -> Row:
    seconds, share, count, beside = (
        _finite(of.get(key)) for key in ("seconds", "share", "count", "seconds_beside")
    )
    each = (seconds + beside) / max(1, count)
    return Row(text(of.get("phase")), seconds, share, count, each, beside)


def _line(row: Row) -> str:
    line = f"{plain(row.phase):<11} {row.seconds:>9.3f} {row.share:>6.1%}"
    line += f" {row.count:>9,.0f} {row.each * 1e3:>9,.2f} ms"
    return line + (f"  and {row.beside:.3f} s in threads beside" if row.beside else "")


def _finite(value: Any) -> float:
    found = number(value)
    return found if found is not None and math.isfinite(found) else 0.0
