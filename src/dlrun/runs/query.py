"""Which of many records, and in which order: what ``--where`` and ``--sort`` mean."""

from __future__ import annotations

import difflib
import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dlrun.errors import DlrunError
from dlrun.runs.metric_direction import direction

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
        """Whether it does; never where the record lacks the key."""
        value = lookup(record, self.key)
        if value is _ABSENT:
            return False
        ours, typed = number(value), number(self.value)
        pair = (ours, typed) if None not in (ours, typed) else (text(value), self.value)
        if self.operator in _ORDERINGS:
            comparable = (ours is None) == (typed is None)
            return comparable and _ORDERINGS[self.operator](*pair)
        return (pair[0] == pair[1]) != (self.operator == "!=")


def parse(typed: str) -> Condition:
    """A condition as typed.

    Raises:
        DlrunError: If it is none.
    """
    found = _CONDITION.fullmatch(typed)
    if not found:
        raise DlrunError(
            f"--where {typed}: expected a key, one of = != < > <= >=, and a value",
            hint="as in --where backend=jax --where 'val_accuracy>0.97'",
        )
    key, how, value = (part.strip() for part in found.groups())
    return Condition(key, how, value)


def select(records: Sequence[Record], conditions: Sequence[Condition]) -> list[Record]:
    """The records for which all conditions hold.

    Raises:
        DlrunError: If no record has a condition's key, or only numbers where it has none.
    """
    for condition in conditions:
        values = known(records, condition.key, "--where")
        unordered = condition.operator in _ORDERINGS and number(condition.value) is None
        if unordered and values and all(number(value) is not None for value in values):
            told = f"{condition.key}{condition.operator}{condition.value}"
            raise DlrunError(f"--where {told}: expected a number")
    return [record for record in records if all(one.holds(record) for one in conditions)]


def ordered(records: Sequence[Record], key: str, *, reverse: bool = False) -> list[Record]:
    """Sorted by one key: the best of a metric first, the newest first, else the smallest.

    Args:
        records: Sorted already by what decides between equals.
        key: As for :func:`lookup`.
        reverse: The other way around. What lacks the key, or a number for a metric, comes last all
            the same.

    Raises:
        DlrunError: If no record has the key.
    """
    known(records, key, "--sort")
    name = key.rpartition(".")[2].removeprefix("val_")
    metric = any(name in _mapping(record, split) for record in records for split in SPLITS)
    largest = key in ("started", "examples_per_second") or (metric and direction(name, {}) == "max")
    having: list[Record] = []
    lacking: list[Record] = []
    for record in records:
        value = lookup(record, key)
        without = value is _ABSENT or (metric and number(value) is None)
        (lacking if without else having).append(record)
    return sorted(having, key=lambda r: _rank(lookup(r, key)), reverse=largest != reverse) + lacking


def known(records: Sequence[Record], key: str, option: str) -> list[Any]:
    """The values of a key.

    Raises:
        DlrunError: If there are records, and none has it; with the key that may have been meant.
    """
    values = [value for r in records if (value := lookup(r, key)) is not _ABSENT]
    if records and not values:
        names = dict.fromkeys(name for record in records for name in _names(record))
        same_ending = [name for name in names if name.endswith(f".{key}")]
        near = same_ending or difflib.get_close_matches(key, names, n=1)
        raise DlrunError(
            f"{option} {key}: no run has this key",
            hint=f"did you mean {near[0]}?" if near else "dlrun runs --json shows every key",
        )
    return values


def lookup(record: Record, key: str) -> Any:
    """A value by its key, or a mark that there is none.

    In this order: a field of the record, a metric as Keras names it (``val_loss``; that of training
    without a prefix), a key of the config, the option chosen in a group, what was typed.
    """
    for found in _found(record, key):
        if found is not _ABSENT and not isinstance(found, Mapping):
            return found
    return _ABSENT


def value_of(record: Record, key: str) -> Any:
    """A value by its key, as :func:`lookup` finds it; None where there is none."""
    found = lookup(record, key)
    return None if found is _ABSENT else found


def flat(mapping: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Each value that is no mapping, by its dotted key."""
    for name, value in mapping.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def number(value: Any) -> float | None:
    """A number, or a text that is one; None for anything else, not-a-number included."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return None if math.isnan(found) else found


def text(value: Any) -> str:
    """A value as a config file writes it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def _found(record: Record, key: str) -> Iterator[Any]:
    yield _walk(record, key)
    if key == "seconds":
        yield _walk(record, "seconds.total")
    split, name = ("validation", key[4:]) if key.startswith("val_") else ("train", key)
    yield _mapping(record, split).get(name, _ABSENT)
    yield _walk(_mapping(record, "config"), key)
    yield _walk(_mapping(record, "config"), f"choices.{key}")
    yield dict(_typed(record)).get(key, _ABSENT)


def _names(record: Record) -> Iterator[str]:
    """The keys that :func:`lookup` knows, as one would type them."""
    for key, _ in flat(record):
        if key.startswith("config."):
            yield key.removeprefix("config.")
        elif key.startswith("validation."):
            yield key.replace("validation.", "val_", 1)
        else:
            yield key
    yield from ("seconds", *(key for key, _ in _typed(record)))


def _typed(record: Record) -> Iterator[tuple[str, str]]:
    overrides = record.get("overrides")
    for override in overrides if isinstance(overrides, list) else ():
        key, separator, value = str(override).lstrip("+").partition("=")
        if separator:
            yield key, value


def _walk(record: Record, key: str) -> Any:
    found: Any = record
    for part in key.split("."):
        if not isinstance(found, dict):
            return _ABSENT
        found = found.get(part, _ABSENT)
    return found


def _mapping(record: Record, key: str) -> Record:
    found = record.get(key)
    return found if isinstance(found, Mapping) else {}


def _rank(value: Any) -> tuple[int, float, str]:
    found = number(value)
    return (1, 0.0, text(value)) if found is None else (0, found, "")
