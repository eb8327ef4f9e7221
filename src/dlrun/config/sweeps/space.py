"""The ranges of Hydra's grammar, as what a search takes its values from."""

import math
import re
from dataclasses import dataclass

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep

LOG = "log"  # the tag of a range that is searched by orders of magnitude


@dataclass(frozen=True)
class Interval:
    """Numbers to search among; integers where both ends are.

    Args:
        low: The least.
        high: The largest, which is one of them.
        step: From one to the next; None for any number between.
        log: Whether each order of magnitude is as likely as the next.
    """

    low: float
    high: float
    step: float | None = None
    log: bool = False

    @property
    def tried(self) -> list[str]:
        """What shows whether a config takes all of them."""
        return [repr(self.low), repr(self.high)]

    def continuous(self) -> "Interval":
        """With every number between its ends."""
        return Interval(float(self.low), float(self.high), None, self.log)


@dataclass(frozen=True)
class Choice:
    """Values to search among, as typed."""

    values: tuple[str, ...]

    @property
    def tried(self) -> list[str]:
        """What shows whether a config takes all of them."""
        return list(self.values)


Space = dict[str, Interval | Choice]


def within(override: Override) -> Interval | Choice:
    """What an override with several values, or a range, leaves to a search."""
    value = override.value()
    if isinstance(value, IntervalSweep):
        assert value.start is not None
        assert value.end is not None
        log = LOG in value.tags
        interval = Interval(float(value.start), float(value.end), None, log)
        if not _whole(override, value):
            return interval
        return Interval(int(value.start), int(value.end), 1, log)
    if isinstance(value, RangeSweep):
        numbers = sorted(value.range())
        return Interval(numbers[0], numbers[-1], abs(value.step), LOG in value.tags)
    return Choice(tuple(dict.fromkeys(override.sweep_string_iterator())))


def unsearchable(override: Override) -> str | None:
    """Why there is no searching in an override's values, if there is none."""
    if not override.is_sweep_override():
        return None
    values, tags = within(override), getattr(override.value(), "tags", ())
    if unknown := set(tags) - {LOG}:
        return f"has the tag {min(unknown)}, and {LOG} is the only one"
    if isinstance(values, Choice):
        return f"is a choice, and {LOG} is for ranges" if tags else None
    low, high = values.low, values.high
    if not (math.isfinite(low) and math.isfinite(high)):
        return "has an end that is not finite"
    problem = None
    if low > high or (low == high and isinstance(override.value(), IntervalSweep)):
        problem = f"begins at {low:g} and ends at {high:g}"
    elif values.log and low <= 0:
        problem = f"begins at {low:g}, and a logarithm takes what is above 0"
    elif values.log and values.step not in (None, 1):
        problem = f"has a step, and {LOG} takes none"
    return problem


def _whole(override: Override, value: IntervalSweep) -> bool:
    """Whether both ends were typed as integers: Hydra makes floats of them."""
    if isinstance(value.start, int):
        return True  # int(interval(...))
    typed = str(override.input_line)
    ends = re.search(r"interval\(([^()]*)\)", typed)
    return (
        ends is not None
        and "float(" not in typed
        and all(re.fullmatch(r"\s*(\w+=)?[+-]?\d+\s*", end) for end in ends[1].split(","))
    )
