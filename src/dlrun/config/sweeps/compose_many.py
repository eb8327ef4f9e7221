"""Compose the configs of many runs that differ in numbers alone, in a fraction of the time.

Hydra and OmegaConf take 10 ms for a config. Where runs differ in numbers, one is composed in full,
and the others are copies with other numbers: if that is proved, for each key, to change nothing
else, and if the limits hold. Whatever else differs, and whatever is wrong, is composed in full.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, is_dataclass, replace
from typing import Any

from dlrun.config.limits import broken_limits
from dlrun.config.schema import Config
from dlrun.runs.query import flat
from dlrun.system.equality import is_same
from dlrun.system.override_text import split_override

_KEY = re.compile(r"\w+(\.\w+)*")
_INTEGER = re.compile(r"[+-]?(0|[1-9]\d{0,17})")
_FLOAT = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?")

Number = int | float
Lines = tuple[str, ...]


class Composer:
    """Composes configs, and remembers which keys change nothing but themselves.

    Args:
        compose: Composes and checks one run.
    """

    def __init__(self, compose: Callable[[Sequence[str]], Config]) -> None:
        self._compose = compose
        self._bases: dict[tuple[Any, ...], tuple[Config, dict[str, Number], Lines]] = {}
        self._alone: dict[tuple[Any, ...], bool] = {}

    def __call__(self, lines: Sequence[str]) -> Config:
        """The config of a run.

        Raises:
            DlrunError: As ``compose``.
        """
        numbers, rest = _numbers(lines)
        kind = (rest, tuple(numbers))
        if not numbers:
            return self._compose(lines)
        if kind not in self._bases:
            config = self._compose(lines)
            self._bases[kind] = (config, numbers, tuple(lines))
            return config
        base, values, _ = self._bases[kind]
        changed = {key: new for key, new in numbers.items() if not _equal(new, values[key])}
        if all(self._changes_itself(kind, key, new) for key, new in changed.items()):
            config = _with_numbers(base, changed)
            if not any(broken_limits(config)):
                return config
        return self._compose(lines)

    def _changes_itself(self, kind: tuple[Any, ...], key: str, value: Number) -> bool:
        """Whether a number changes its own key alone, as it was tried once for each key."""
        base, _, lines = self._bases[kind]
        before = _get(base, key)
        if not _fits(before, value):
            return False
        place = (*kind, key)
        if place not in self._alone:
            others = [line for line in lines if split_override(line)[0] != key]
            tried = self._compose([*others, f"{key}={value!r}"])
            old, new = (dict(flat(asdict(config))) for config in (base, tried))
            changed = {k for k in old.keys() | new.keys() if not is_same(old.get(k), new.get(k))}
            self._alone[place] = changed <= {key} and _equal(new.get(key), _as(before, value))
        return self._alone[place]


def _numbers(lines: Sequence[str]) -> tuple[dict[str, Number], Lines]:
    """The overrides of plain keys with numbers, and the others."""
    numbers: dict[str, Number] = {}
    rest = []
    for line in lines:
        key, _, value = line.partition("=")
        # Of the task, more than the limits is checked, such as the weights of classes.
        if not _KEY.fullmatch(key) or key in numbers or key.startswith("task."):
            rest.append(line)
        elif _INTEGER.fullmatch(value):
            numbers[key] = int(value)
        elif _FLOAT.fullmatch(value) and not re.fullmatch(r"[+-]?\d+", value):
            numbers[key] = float(value)
        else:
            rest.append(line)
    return numbers, tuple(rest)


def _fits(before: Any, value: Number) -> bool:
    """Whether a number has the type of the value that it replaces."""
    return type(before) is type(value) or (type(before) is float and type(value) is int)


def _as(before: Any, value: Number) -> Number:
    return float(value) if type(before) is float else value


def _equal(one: Any, other: Any) -> bool:
    return type(one) is type(other) and is_same(one, other)


def _get(config: Config, key: str) -> Any:
    node: Any = config
    for part in key.split("."):
        node = node.get(part) if isinstance(node, Mapping) else getattr(node, part, None)
    return node


def _with_numbers(base: Config, numbers: Mapping[str, Number]) -> Config:
    """A copy with other numbers, which shares with the base all parts that are equal."""
    config = base
    for key, value in numbers.items():
        config = _with(config, key.split("."), value)
    return config


def _with(node: Any, parts: Sequence[str], value: Number) -> Any:
    first, *rest = parts
    before = node[first] if isinstance(node, Mapping) else getattr(node, first)
    inner = _with(before, rest, value) if rest else _as(before, value)
    if is_dataclass(node) and not isinstance(node, type):
        return replace(node, **{first: inner})
    return {**node, first: inner}
