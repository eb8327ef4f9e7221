"""Single values as a table shows them, whoever wrote them."""

import math
from typing import Any

from dlrun.runs.query import text


def figure(value: Any, digits: int = 4) -> str:
    """A number with so many digits behind the point, anything else as it is; nothing for None.

    A whole number has no point, and one that would be shown as 0 or fill the column an exponent.
    """
    if value is None:
        return ""
    if not isinstance(value, float) or not math.isfinite(value):
        return plain(text(value))
    if value and not 10**-digits <= abs(value) < 1e6:
        return f"{value:.{digits}g}"
    return f"{value:.{digits}f}"


def plain(told: str) -> str:
    """Without what a terminal would obey, or can't show."""
    return told if told.isprintable() else ascii(told)[1:-1]
