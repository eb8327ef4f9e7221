"""Where a run's time went, as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dlrun.checkpoints.store import Position
from dlrun.report.cells import plain
from dlrun.runs.query import number, text


def profile_lines(record: Mapping[str, Any]) -> list[str]:
    """The rows of ``profile=simple`` line by line; empty if the run has none.

    Args:
        record: Of a ``run.json``, which may be copied from an untrusted source.
    """
    rows = record.get("profile")
    rows = [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []
    if not rows:
        return []
    head = f"{'phase':<11} {'seconds':>9} {'share':>6} {'count':>9} {'each':>12}"
    return [head, *map(_line, rows), *_resumed_at(record.get("resumed"))]


def _line(row: Mapping[str, Any]) -> str:
    seconds, share, count, beside = (
        number(row.get(key)) or 0.0 for key in ("seconds", "share", "count", "seconds_beside")
    )
    each = (seconds + beside) / max(1, count) * 1e3
    line = f"{plain(text(row.get('phase'))):<11} {seconds:>9.3f} {share:>6.1%}"
    line += f" {count:>9,.0f} {each:>9,.2f} ms"
    return line + (f"  and {beside:.3f} s in threads beside" if beside else "")


def _resumed_at(resumed: Any) -> list[str]:
    """That the rows are of the last part of a resumed run alone."""
    last = resumed[-1] if isinstance(resumed, list) and resumed else None
    after = last.get("after") if isinstance(last, Mapping) else None
    if not isinstance(after, Mapping):
        return []
    epochs, steps = (int(number(after.get(key)) or 0) for key in ("epochs", "steps"))
    return [f"of what ran after {Position(epochs, steps)}, where the run was resumed"]
