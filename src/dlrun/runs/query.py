"""Select and sort records, for ``--where`` and ``--sort``."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dlrun.errors import DlrunError, nearest
from dlrun.runs.metric_direction import direction
from dlrun.system.override_text import split_override

Record = Mapping[str, Any]
SPLITS = {"train": "", "validation": "val_", "test": "test."}
_ABSENT = object()
_CONDITION = re.compile(r"([^=!<>]+)(!=|<=|>=|==?|<|>)(.*)", re.DOTALL)
_ORDERINGS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True)
class Condition:
    """A key, an operator and a value, as in ``val_accuracy>0.97``."""

    key: str
    operator: str
    value: str

    def holds(self, record: Record) -> bool:
        """Whether the record meets the condition; False if it lacks the key."""
        value = lookup(record, self.key)
        if value is _ABSENT:
            return False
        if isinstance(value, list) and self.operator not in _ORDERINGS:  # such as tags
            return (self.value in (text(value), *map(text, value))) != (self.operator == "!=")
        is_word = value is None or isinstance(value, bool)
        if is_word and self.operator not in _ORDERINGS:  # True and None, as Python has them
            named = {"none": "null"}.get(self.value.lower(), self.value.lower())
            return (text(value) == named) != (self.operator == "!=")
        actual, typed = number(value), number(self.value)
        pair = (actual, typed) if None not in (actual, typed) else (text(value), self.value)
        if self.operator in _ORDERINGS:
            comparable = (actual is None) == (typed is None)
            return comparable and _ORDERINGS[self.operator](*pair)
        return (pair[0] == pair[1]) != (self.operator == "!=")


def parse(typed: str) -> Condition:
    """Parse a condition.

    Raises:
        DlrunError: If it is not a condition.
    """
    match = _CONDITION.fullmatch(typed)
    if not match:
        raise DlrunError(
            f"--where {typed}: expected a key, one of = != < > <= >=, and a value",
            hint="for example --where backend=jax --where 'val_accuracy>0.97'",
        )
    key, symbol, value = (group.strip() for group in match.groups())
    return Condition(key, symbol, value)


def select(records: Sequence[Record], conditions: Sequence[Condition]) -> list[Record]:
    """The records that meet all conditions.

    Raises:
        DlrunError: If no record has a condition's key, or a condition compares numbers with text.
    """
    for condition in conditions:
        values = require_key(records, condition.key, "--where")
        unordered = condition.operator in _ORDERINGS and number(condition.value) is None
        if unordered and values and all(number(value) is not None for value in values):
            typed = f"{condition.key}{condition.operator}{condition.value}"
            raise DlrunError(f"--where {typed}: expected a number")
    return [record for record in records if all(c.holds(record) for c in conditions)]


def similar(records: Sequence[Record], conditions: Sequence[Condition]) -> Iterator[str]:
    """For each condition with a text that no run has, the most similar one that a run has."""
    for condition in conditions:
        if condition.operator in ("=", "==") and number(condition.value) is None:
            values = [value_of(record, condition.key) for record in records]
            lists = [value if isinstance(value, list) else [value] for value in values]
            texts = dict.fromkeys(text(each) for value in lists for each in value)
            near = None if condition.value in texts else nearest(condition.value, texts)
            if near is not None:
                yield f"{condition.key}={near}"


def sort_by(records: Sequence[Record], key: str, *, reverse: bool = False) -> list[Record]:
    """Sort by one key: the best value of a metric first, the newest run first, else the smallest.

    Args:
        records: The records; equal ones keep their order.
        key: As for :func:`lookup`.
        reverse: Reverse the order. Records without the key, or without a finite number for a
            metric, are always last.

    Raises:
        DlrunError: If no record has the key.
    """
    require_key(records, key, "--sort")
    name = key.rpartition(".")[2].removeprefix("val_")
    metric = any(name in _mapping(record, split) for record in records for split in SPLITS)
    largest = key in ("started", "examples_per_second") or (metric and direction(name, {}) == "max")
    present: list[Record] = []
    missing: list[Record] = []
    for record in records:
        value = lookup(record, key)
        is_missing = value is _ABSENT or (metric and not _is_finite(value))
        (missing if is_missing else present).append(record)
    present.sort(key=lambda r: _rank(lookup(r, key)), reverse=largest != reverse)
    return present + missing


def require_key(records: Sequence[Record], key: str, option: str) -> list[Any]:
    """The values of a key.

    Raises:
        DlrunError: If there are records but none has the key; suggests a similar key.
    """
    values = [value for r in records if (value := lookup(r, key)) is not _ABSENT]
    if records and not values:
        names = dict.fromkeys(name for record in records for name in _names(record))
        same_ending = (name for name in names if name.endswith(f".{key}"))
        near = next(same_ending, None) or nearest(key, names)
        raise DlrunError(
            f"{option} {key}: no run has this key",
            hint=f"did you mean {near}?" if near else "dlrun runs --json shows every key",
        )
    return values


def lookup(record: Record, key: str) -> Any:
    """The value of a key, or a marker for a missing key.

    The key is, in this order: a field of the record, a metric by its Keras name (``val_loss``;
    training metrics have no prefix), a key of the config, a config group, an override.
    """
    for value in _candidates(record, key):
        if value is not _ABSENT and not isinstance(value, dict):
            return value
    return _ABSENT


def value_of(record: Record, key: str) -> Any:
    """The value of a key as from :func:`lookup`; None if the key is missing."""
    value = lookup(record, key)
    return None if value is _ABSENT else value


def flat(mapping: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each value that is not a mapping, with its dotted key."""
    for name, value in mapping.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def number(value: Any) -> float | None:
    """The value as a number, parsed if it is a string; None for NaN and anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        result = float(value)
    except (ValueError, OverflowError):
        return None
    return None if math.isnan(result) else result


def _is_finite(value: Any) -> bool:
    as_number = number(value)
    return as_number is not None and math.isfinite(as_number)


def text(value: Any) -> str:
    """A value as a config file writes it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def _candidates(record: Record, key: str) -> Iterator[Any]:
    yield _walk(record, key)
    if key == "tag":
        yield _walk(record, "tags")
    if key == "seconds":
        yield _walk(record, "seconds.total")
    split, name = ("validation", key[4:]) if key.startswith("val_") else ("train", key)
    yield _mapping(record, split).get(name, _ABSENT)
    yield _walk(_mapping(record, "config"), key)
    yield _walk(_mapping(record, "config"), f"choices.{key}")
    yield dict(_overrides(record)).get(key, _ABSENT)


def _names(record: Record) -> Iterator[str]:
    """The keys that :func:`lookup` accepts, as a user would type them."""
    for key, _ in flat(record):
        if key.startswith("config."):
            yield key.removeprefix("config.")
        elif key.startswith("validation."):
            yield key.replace("validation.", "val_", 1)
        else:
            yield key
    yield from ("seconds", *(key for key, _ in _overrides(record)))


def _overrides(record: Record) -> Iterator[tuple[str, str]]:
    overrides = record.get("overrides")
    for override in overrides if isinstance(overrides, list) else ():
        key, value = split_override(str(override))
        if value is not None and not str(override).startswith("~"):
            yield key, value


def _walk(record: Record, key: str) -> Any:
    value: Any = record
    for part in key.split("."):
        if not isinstance(value, dict):
            return _ABSENT
        value = value.get(part, _ABSENT)
    return value


def _mapping(record: Record, key: str) -> Record:
    value = record.get(key)
    return value if isinstance(value, dict) else {}


def _rank(value: Any) -> tuple[int, float, str]:
    as_number = number(value)
    return (1, 0.0, text(value)) if as_number is None else (0, as_number, "")
