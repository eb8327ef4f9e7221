"""Parse one override, with ranges of exact decimals.

Hydra adds up binary floats: its ``range(0.1,0.4,0.1)`` ends in 0.30000000000000004 and 0.4. Here a
range is the list of its values, as ``a,b`` is, so that Hydra's ``sort`` and ``float`` take it too.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, Sweep
from hydra.errors import HydraException

from dlrun.config.explain import parse_mistake
from dlrun.config.mistake import Mistake

MAX_VALUES = 100_000  # each is a run


@dataclass
class Range(ChoiceSweep):
    """The values of a range, at equal distances."""


class RangeError(ValueError):
    """What is wrong with a range."""


def parse_line(line: str, loader: ConfigLoader | None = None) -> Override | Mistake:
    """Parse an override.

    Args:
        line: The override, in Hydra's grammar.
        loader: Finds the options of ``glob``.
    """
    parser = OverridesParser.create()
    replaced = parser.functions.functions  # their signatures, which Hydra checks, stay
    replaced["range"] = _range
    for name in ("int", "float"):
        replaced[name] = _cast(replaced[name])
    try:
        override = parser.parse_override(line)
    except HydraException as error:
        problem = error.__cause__
        return (
            Mistake(line, str(problem)) if isinstance(problem, RangeError) else parse_mistake(line)
        )
    override.config_loader = loader
    value = override._value
    if isinstance(value, ChoiceSweep):
        value.list = list(_flat(value))
    if any(map(_holds_sweep, value.list if isinstance(value, ChoiceSweep) else [value])):
        return Mistake(line, "has several values inside a list", hint="list them one by one")
    return override


def multiple(low: float, step: float, number: int) -> float:
    """``low + number * step`` in decimals; an integer if both are."""
    value = _exact(low) + number * _exact(step)
    return int(value) if isinstance(low, int) and isinstance(step, int) else float(value)


def count_steps(low: float, value: float, step: float) -> int:
    """The number of steps from ``low`` to the multiple that is nearest to ``value``."""
    return round((_exact(value) - _exact(low)) / _exact(step))


def _range(start: float, stop: float | None = None, step: float = 1) -> Range:
    if stop is None:
        start, stop = 0, start
    if not all(map(math.isfinite, (start, stop, step))):
        raise RangeError("has a bound or step that is not finite")
    if step == 0:
        raise RangeError("has the step 0")
    count = math.ceil((_exact(stop) - _exact(start)) / _exact(step))
    if count > MAX_VALUES:
        raise RangeError(f"has more than {MAX_VALUES:,} values; to search, type interval(a, b)")
    if isinstance(stop, float):
        start = float(start)  # as in Hydra: one float makes them all floats
    return Range(list=[multiple(start, step, number) for number in range(count)])


def _cast(function: Callable[..., Any]) -> Callable[..., Any]:
    """A cast that gives a range for a range, unless two of its values become one."""

    def cast(*args: Any, value: Any = None) -> Any:
        result = function(*args, value=value)
        if isinstance(result, ChoiceSweep) and isinstance(args[0] if args else value, Range):
            values = list(dict.fromkeys(result.list))
            whole = values == (args[0] if args else value).list
            result = Range(list=values) if whole else ChoiceSweep(list=values)
        return result

    return cast


def _flat(values: ChoiceSweep) -> Iterator[Any]:
    """The values, with those of a range in its place."""
    for value in values.list:
        yield from _flat(value) if isinstance(value, ChoiceSweep) else [value]


def _holds_sweep(value: Any) -> bool:
    """Whether a list or mapping holds several values to choose from."""
    if isinstance(value, dict):
        return any(map(_is_or_holds_sweep, value.values()))
    return isinstance(value, list) and any(map(_is_or_holds_sweep, value))


def _is_or_holds_sweep(value: Any) -> bool:
    return isinstance(value, Sweep) or _holds_sweep(value)


def _exact(value: float) -> Fraction:
    """The number as it is written in decimals."""
    return Fraction(str(value))
