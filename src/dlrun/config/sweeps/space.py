"""The search space: intervals and choices, from the ranges of Hydra's grammar."""

import math
import re
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.types import IntervalSweep, Override

from dlrun.config.ranges import Range, count_steps, multiple

LOG = "log"  # the tag of a range that is searched on a logarithmic scale


@dataclass(frozen=True)
class Interval:
    """An interval to search; of integers if both bounds are.

    Args:
        low: The lower bound, included.
        high: The upper bound, included.
        step: The distance between values; None for all numbers in between.
        log: Whether the scale is logarithmic.
    """

    low: float
    high: float
    step: float | None = None
    log: bool = False

    @property
    def values_to_check(self) -> list[str]:
        """If a config accepts the bounds, it accepts all values."""
        return [repr(self.low), repr(self.high)]

    @property
    def values(self) -> list[float] | None:
        """All values, in exact decimals; None if there are infinitely many."""
        if self.step is None:
            return None
        count = count_steps(self.low, self.high, self.step) + 1
        return [multiple(self.low, self.step, number) for number in range(count)]

    def nearest(self, value: float) -> float:
        """The exact decimal that a drawn value stands for."""
        if self.step is None:
            return value
        return multiple(self.low, self.step, count_steps(self.low, value, self.step))

    def continuous(self) -> "Interval":
        """The interval with all numbers between its bounds."""
        return Interval(float(self.low), float(self.high), None, self.log)


@dataclass(frozen=True)
class Choice:
    """Values to search, as typed."""

    values: tuple[str, ...]

    @property
    def values_to_check(self) -> list[str]:
        """All values: a config may accept only some."""
        return list(self.values)


Space = dict[str, Interval | Choice]


def search_values(override: Override) -> Interval | Choice:
    """The search space of an override with a range or several values."""
    value = override.value()
    if isinstance(value, IntervalSweep):
        assert value.start is not None
        assert value.end is not None
        log = LOG in value.tags
        interval = Interval(float(value.start), float(value.end), None, log)
        if not _is_integer_interval(override, value):
            return interval
        return Interval(int(value.start), int(value.end), 1, log)
    if isinstance(value, Range):
        numbers: list[Any] = sorted(value.list)
        step = multiple(numbers[1], numbers[0], -1) if numbers[1:] else 1
        return Interval(numbers[0], numbers[-1], step, LOG in value.tags)
    return Choice(tuple(dict.fromkeys(override.sweep_string_iterator())))


def value_overrides(override: Override) -> list[str]:
    """An override for each of its values; for an interval, of those that check it."""
    if not override.is_sweep_override():
        return [str(override.input_line)]
    if not override.is_discrete_sweep():
        values = search_values(override).values_to_check
    else:
        values = list(override.sweep_string_iterator())
    # Outside quotes Hydra writes gpu\:1; it reads gpu:1 as the same.
    plain = [value if value[:1] in "'\"" else value.replace("\\:", ":") for value in values]
    return [f"{override.get_key_element()}={value}" for value in plain]


def range_problem(override: Override) -> str | None:
    """What is wrong with the range of an override; None if it can be searched."""
    if not override.is_sweep_override():
        return None
    values, tags = search_values(override), getattr(override.value(), "tags", ())
    if unknown := set(tags) - {LOG}:
        return f"has the unknown tag {min(unknown)}: expected {LOG}"
    if isinstance(values, Choice):
        return f"is a choice, but {LOG} is for ranges" if tags else None
    low, high = values.low, values.high
    if not (math.isfinite(low) and math.isfinite(high)):
        return "has a bound that is not finite"
    problem = None
    if low > high or (low == high and isinstance(override.value(), IntervalSweep)):
        problem = f"begins at {low:g} and ends at {high:g}"
    elif values.log and low <= 0:
        problem = f"begins at {low:g}, but {LOG} expects values above 0"
    elif values.log and values.step not in (None, 1):
        problem = f"has a step, but {LOG} takes none"
    return problem


def _is_integer_interval(override: Override, value: IntervalSweep) -> bool:
    """Whether both bounds were typed as integers: Hydra converts them to floats."""
    if isinstance(value.start, int):
        return True  # int(interval(...))
    typed = str(override.input_line)
    bounds = re.search(r"interval\(([^()]*)\)", typed)
    return (
        bounds is not None
        and "float(" not in typed
        and all(re.fullmatch(r"\s*(\w+=)?[+-]?\d+\s*", bound) for bound in bounds[1].split(","))
    )
