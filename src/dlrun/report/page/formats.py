"""Values as people read them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from dlrun.report.cells import figure
from dlrun.runs.query import text

LONGEST = 200  # characters of a value in a table


def value(of: Any) -> str:
    """Any value: a number with few digits, anything else as text that is cut."""
    if isinstance(of, float):
        return number(of)
    if isinstance(of, int) and not isinstance(of, bool):
        return f"{of:,}"
    return "" if of is None else cut(text(of))


def number(of: float | None, digits: int = 4) -> str:
    """A number of four decimals, of one above 1,000, of none where it is whole; empty for None."""
    if of is None:
        return ""
    if math.isfinite(of) and of == int(of) and abs(of) < 1e15:
        return f"{int(of):,}"
    if 1000 <= abs(of) < 1e9:
        return f"{of:,.1f}"
    return figure(float(of), digits)


def brief(of: float | None) -> str:
    """A number of three digits, for what varies from run to run; empty for None."""
    if of is None:
        return ""
    return f"{of:,.0f}" if abs(of) >= 100 else f"{of:.3g}"


def short_keys(keys: Sequence[str]) -> dict[str, str]:
    """The last part of each key, where it is that of no other key, else the whole key."""
    lasts = [key.rpartition(".")[2] for key in keys]
    return {k: last if lasts.count(last) == 1 else k for k, last in zip(keys, lasts, strict=True)}


def cut(words: str, length: int = LONGEST) -> str:
    """Text with its middle left out where it is long: names differ at their ends."""
    if len(words) <= length:
        return words
    head = 2 * (length - 3) // 3
    return f"{words[:head]}...{words[head + 3 - length :]}"


def duration(seconds: float | None) -> str:
    """Seconds with a unit that fits."""
    if seconds is None or not math.isfinite(seconds):
        return ""
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 1:
        return f"{seconds * 1e3:.3g} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def share(of: float) -> str:
    """A share of one in percent."""
    return f"{100 * of:.1f} %"


def when(started: str) -> str:
    """A time as recorded, to the minute and with its zone; as it is where it is none."""
    try:
        time = datetime.fromisoformat(started)
    except ValueError:
        return cut(started)
    zone = time.strftime("%z")
    return time.strftime("%Y-%m-%d %H:%M") + (f" {zone[:3]}:{zone[3:]}" if zone else "")


def day(seconds: float) -> str:
    """The day of a time in seconds since 1970; as a number where there is no such day."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
    except (ValueError, OverflowError, OSError):
        return number(seconds)


def shape(of: Any) -> str:
    """A shape as a tuple, with ``batch`` for its open axis; shapes in a structure one by one."""
    if of is None:
        return ""
    if isinstance(of, dict):
        return cut(", ".join(f"{name}: {shape(inner)}" for name, inner in of.items()))
    if not isinstance(of, list | tuple):
        return cut(str(of))
    if any(isinstance(axis, list | tuple) for axis in of):
        return cut(", ".join(map(shape, of)))
    axes = ["batch" if axis is None else cut(str(axis), 20) for axis in of]
    return f"({', '.join(axes)}{',' if len(axes) == 1 else ''})"
