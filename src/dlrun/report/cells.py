"""Format single values for tables, from untrusted sources too."""

import math
from typing import Any

from dlrun.runs.query import text


def figure(value: Any, digits: int = 4) -> str:
    """Format a float with ``digits`` decimals, None as an empty string, anything else as text.

    One above 1,000 has three digits more than ``digits`` in all: seven of four, as a float32 holds.
    Floats that would be shown as 0 or be too wide have an exponent.
    """
    if value is None:
        return ""
    if not isinstance(value, float) or not math.isfinite(value):
        return plain(text(value))
    if value and not 10**-digits <= abs(value) < 1e9:
        return f"{value:.{digits}g}"
    whole = len(str(int(abs(value))))
    return f"{value:.{min(digits, max(0, digits + 3 - whole))}f}"


def seconds_text(value: float | None) -> str:
    """Seconds in the unit that suits them; empty for None."""
    if value is None:
        return ""
    if value >= 1:
        return f"{value:.3g} s"
    return f"{value * 1e3:.3g} ms" if value >= 1e-3 else f"{value * 1e6:.3g} us"


def size_text(count: float | None) -> str:
    """Bytes in the unit that suits them; empty for None."""
    if count is None:
        return ""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count:.0f} B"


def plain(value: str) -> str:
    """Escape control sequences and other unprintable characters."""
    return value if value.isprintable() else ascii(value)[1:-1]
