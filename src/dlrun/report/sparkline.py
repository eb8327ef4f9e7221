"""A curve in one line of text."""

import math
from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float | None], width: int = 40) -> str:
    """Values as blocks of eight heights; a space where there is none.

    Args:
        values: In order.
        width: The most characters; more values are thinned evenly, and the last one is kept.
    """
    if len(values) > width:
        last = len(values) - 1
        values = [values[round(place * last / (width - 1))] for place in range(width)]
    finite = [value for value in values if value is not None and math.isfinite(value)]
    if not finite:
        return " " * len(values)
    low, high = min(finite), max(finite)
    span = high - low
    return "".join(
        " "
        if value is None or not math.isfinite(value)
        else BLOCKS[min(int((value - low) / span * len(BLOCKS)), 7) if span else 3]
        for value in values
    )
