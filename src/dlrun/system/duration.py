"""Durations as people write them."""

import re

SECONDS = {"d": 86_400, "h": 3_600, "min": 60, "s": 1}
_PART = r"(\d+(?:\.\d+)?)\s*(d|h|min|s)\s*"


def parse_seconds(text: str | float) -> float:
    """The seconds of a duration, such as ``8h``, ``1h30min``, ``90s`` or a number of seconds.

    Raises:
        ValueError: If it is none, or not above 0.
    """
    if isinstance(text, int | float) and not isinstance(text, bool):
        seconds = float(text)
    elif re.fullmatch(f"(?:{_PART})+", str(text)):
        seconds = sum(
            float(number) * SECONDS[unit] for number, unit in re.findall(_PART, str(text))
        )
    else:
        raise ValueError(f"expected a duration, such as 8h, 1h30min or 90s, got {text!r:.80}")
    if not 0 < seconds < float("inf"):
        raise ValueError(f"expected a time above 0, got {text!r:.80}")
    return seconds


def as_duration(seconds: float) -> str:
    """A duration as :func:`parse_seconds` reads it, such as ``1h30min``.

    Args:
        seconds: Above 0.
    """
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours:.0f}h" * (hours > 0), f"{minutes:.0f}min" * (minutes > 0)]
    return "".join(parts) + (f"{rest:.10g}s" if rest or not any(parts) else "")
