"""Dimensions of a sweep that set several keys at once, or only under a condition.

``lr_batch=zip(optimizer.learning_rate=[1e-3,1e-2],batch_size=[64,512])`` pairs values, as in the
design of Hydra for paired sweeps; the lists may also be written ``key=1e-3,1e-2 key=64,512``.
``optimizer.momentum=where(optimizer=sgd,0,0.9)`` gives a key values only where another has one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

from hydra.core.override_parser.types import Override

from dlrun.config.grammar import Loader
from dlrun.config.groups import GROUPS
from dlrun.config.mistake import Mistake, config_error
from dlrun.config.overrides import NUMBER
from dlrun.config.ranges import MAX_VALUES, parse_line
from dlrun.config.schema import Config
from dlrun.config.sweeps.space import value_overrides
from dlrun.system.override_text import split_override

_DIMENSION = re.compile(r"([^=\s]+)=\s*(zip|where)\((.*)\)\s*", re.DOTALL)
_MEMBER = re.compile(r"\+{0,2}[A-Za-z_][\w./@-]*=")
_FUNCTION = re.compile(r"[a-z]+\(", re.IGNORECASE)
ZIP = "lr_batch=zip(optimizer.learning_rate=[1e-3,1e-2],batch_size=[64,512])"
WHERE = "'optimizer.momentum=where(optimizer=sgd,0,0.9)'"
_OPEN, _CLOSE = "([{", ")]}"


@dataclass(frozen=True)
class PairedRows:
    """Rows of overrides, of which each run takes one.

    Args:
        name: Of the dimension; it is not a key of the config.
        rows: The overrides of each row.
    """

    name: str
    rows: list[list[str]]

    @property
    def keys(self) -> list[str]:
        """The keys that the rows set."""
        lines = (line for row in self.rows for line in row)
        return list(dict.fromkeys(split_override(line)[0] for line in lines))


@dataclass(frozen=True)
class Where:
    """Values of a key for the runs in which other keys have the values of a condition.

    Args:
        key: As typed, with ``+``.
        condition: The values that hold, by key.
        line: The override with the values alone.
    """

    key: str
    condition: Mapping[str, tuple[str, ...]]
    line: str

    def holds(self, values: Mapping[str, str | None]) -> bool:
        """Whether the condition holds for the values of a run, by key."""
        return all(values.get(key) in accepted for key, accepted in self.condition.items())


def take_apart(
    overrides: Sequence[str], loader: Loader
) -> tuple[list[str], list[PairedRows], list[Where]]:
    """Separate the dimensions of this module from the other overrides.

    Args:
        overrides: As typed after ``dlrun sweep``.
        loader: Finds the options of ``glob``.

    Raises:
        DlrunError: With every mistake in them.
    """
    plain: list[str] = []
    paired: list[PairedRows] = []
    conditional: list[Where] = []
    mistakes: list[Mistake] = []
    for line in overrides:
        match = _DIMENSION.fullmatch(line)
        try:
            if match is None:
                if re.search(r"=\s*shuffle\(\s*zip\(", line):
                    raise _DimensionError(
                        "zip can't be shuffled: write its rows in the order to train"
                    )
                if unnamed := re.match(r"\s*(zip|where)\(", line):
                    example = ZIP if unnamed[1] == "zip" else WHERE
                    raise _DimensionError(f"{unnamed[1]} has no name: expected NAME=...", example)
                plain.append(line)
            elif match[2] == "zip":
                paired.append(_zip(match[1], match[3], loader))
            else:
                conditional.append(_where(match[1], match[3]))
        except _DimensionError as error:
            mistakes.append(Mistake(line, str(error), hint=error.hint))
    names = [each.name for each in paired]
    for name in {name for name in names if names.count(name) > 1}:
        mistakes.append(Mistake(name, "names two dimensions: choose another name for one"))
    mistakes += _repeated_keys(plain, paired, conditional)
    if mistakes:
        raise config_error(mistakes)
    return plain, paired, conditional


class _DimensionError(ValueError):
    def __init__(self, problem: str, hint: str | None = None) -> None:
        super().__init__(problem)
        self.hint = hint


def _repeated_keys(
    plain: Sequence[str], paired: Sequence[PairedRows], conditional: Sequence[Where]
) -> Iterator[Mistake]:
    keys = [split_override(line)[0] for line in plain]
    for place, found in [(each.name, each.keys) for each in paired] + [
        (each.key, [split_override(each.line)[0]]) for each in conditional
    ]:
        for key in found:
            if key in keys:
                yield Mistake(place, f"sets '{key}', which already has values")
        keys += found


def _zip(name: str, inner: str, loader: Loader) -> PairedRows:
    taken = {field.name for field in fields(Config)} | set(GROUPS)
    if not name.isidentifier() or name in taken:
        raise _DimensionError(f"'{name}' is not a name for pairs: expected a new word", ZIP)
    members: dict[str, list[str]] = {}
    for item in _items(inner):
        if key := _MEMBER.match(item):
            typed = key[0][:-1]
            if typed.lstrip("+") in {known.lstrip("+") for known in members}:
                raise _DimensionError(f"'{typed}' stands twice in zip")
            members[typed] = [item[key.end() :]]
        elif not members:
            raise _DimensionError(f"'{item}' has no key", ZIP)
        else:
            members[next(reversed(members))].append(item)
    values = {key: _values(key, items, loader) for key, items in members.items()}
    if len(values) < 2:
        raise _DimensionError("zip pairs at least two keys", ZIP)
    lengths = {key: len(of) for key, of in values.items()}
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{key} {length}" for key, length in lengths.items())
        raise _DimensionError(f"zip needs as many values of each key, got {counts}")
    columns = ([f"{key}={value}" for value in of] for key, of in values.items())
    return PairedRows(name, [list(row) for row in zip(*columns, strict=True)])


def _values(key: str, items: Sequence[str], loader: Loader) -> list[str]:
    """The values of a member: a list, a function such as range(5), or items."""
    [first, *others] = items
    if not others and first.startswith("["):
        found = list(_items(first[1:-1]))
    elif not others and _FUNCTION.match(first):
        if first.startswith(("zip(", "where(", "interval(", "shuffle(")):
            raise _DimensionError(
                f"{key}: zip takes lists of values, not {first.partition('(')[0]}"
            )
        override = parse_line(f"{key}={first}", loader)
        if isinstance(override, Mistake):
            raise _DimensionError(f"{key}: {override.problem}")
        found = [str(split_override(line)[1]) for line in value_overrides(override)]
    else:
        found = list(items)
    if not found or "" in found:
        raise _DimensionError(f"{key}: has no values")
    if len(found) > MAX_VALUES:
        raise _DimensionError(f"{key}: has more than {MAX_VALUES:,} values")
    for value in found:
        if not NUMBER.fullmatch(value) and not re.fullmatch(r"[\w.-]+", value):
            parsed = parse_line(f"{key}={value}")
            if not isinstance(parsed, Override) or parsed.is_sweep_override():
                raise _DimensionError(f"{key}: '{value}' can't be parsed as one value")
    return found


def _where(key: str, inner: str) -> Where:
    condition: dict[str, tuple[str, ...]] = {}
    items = list(_items(inner, spaces=False))
    while items and _MEMBER.match(items[0]):
        name, _, accepted = items.pop(0).partition("=")
        condition[name] = tuple(value.strip() for value in accepted.split("|"))
    if not condition or not items:
        raise _DimensionError("expected a condition and values", WHERE)
    return Where(key, condition, f"{key}={','.join(items)}")


def _items(inner: str, *, spaces: bool = True) -> Iterator[str]:
    """Split at commas, and at spaces, that are not in brackets or quotes."""
    depth, quote, item = 0, "", ""
    for character in inner:
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        depth += not quote and (character in _OPEN)
        depth -= not quote and (character in _CLOSE)
        splits = character == "," or (character.isspace() and spaces)
        if splits and depth == 0 and not quote:
            if item.strip():
                yield item.strip()
            item = ""
        else:
            item += character
    if item.strip():
        yield item.strip()
