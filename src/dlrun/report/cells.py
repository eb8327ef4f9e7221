"""Format single values for tables, from untrusted sources too."""

import math
from typing import Any

from dlrun.runs.query import text


def figure(value: Any, digits: int = 4) -> str:
    """Format a float with ``digits`` decimals, None as an empty string, anything else as text.

    Floats that would be shown as 0 or be too wide have an exponent.
    """
    if value is None:
        return ""
    if not isinstance(value, float) or not math.isfinite(value):
        return plain(text(value))
    if value and not 10**-digits <= abs(value) < 1e6:
        return f"{value:.{digits}g}"
    return f"{value:.{digits}f}"


def plain(value: str) -> str:
    """Escape control sequences and other unprintable characters."""
    return value if value.isprintable() else ascii(value)[1:-1]
