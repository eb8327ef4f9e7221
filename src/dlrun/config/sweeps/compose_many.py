"""Compose the configs of many runs that differ in numbers alone, in a fraction of the time.

Hydra and OmegaConf take 10 ms for a config. Where runs differ in numbers, one is composed in full,
and the others are copies with other numbers: if that is proved, for each key, to change nothing
but its own value and those that refer to it, as ``${seed}`` does, and if the limits hold. Whatever
else differs, and whatever is wrong, is composed in full.
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
    """Composes configs, and remembers which values a key changes.

    Args:
        compose: Composes and checks one run.
    """

    def __init__(self, compose: Callable[[Sequence[str]], Config]) -> None:
        self._compose = compose
        self._bases: dict[tuple[Any, ...], tuple[Config, dict[str, Number], Lines]] = {}
        self._places: dict[tuple[Any, ...], tuple[str, ...]] = {}

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
        config = base
        for key, value in numbers.items():
            if _equal(value, values[key]):
                continue
            fits = _fits(_get(base, key), value)
            places = self._changed_by(kind, key, value) if fits else ()
            if not places or not all(_fits(_get(base, place), value) for place in places):
                return self._compose(lines)
            for place in places:
                config = _with(config, place.split("."), value)
        return self._compose(lines) if any(broken_limits(config)) else config

    def _changed_by(self, kind: tuple[Any, ...], key: str, value: Number) -> tuple[str, ...]:
        """The keys that get a number, as it was tried once for each key; none if others change."""
        place = (*kind, key)
        if place not in self._places:
            base, _, lines = self._bases[kind]
            others = [line for line in lines if split_override(line)[0] != key]
            tried = self._compose([*others, f"{key}={value!r}"])
            old, new = (dict(flat(asdict(config))) for config in (base, tried))
            changed = {k for k in old.keys() | new.keys() if not is_same(old.get(k), new.get(k))}
            of_number = all(
                is_same(_get(base, k), _get(base, key)) and _equal(new.get(k), _as(old[k], value))
                for k in changed
                if k in old
            )
            known = key in changed and changed <= old.keys() and of_number
            self._places[place] = tuple(sorted(changed)) if known else ()
        return self._places[place]


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


def _with(node: Any, parts: Sequence[str], value: Number) -> Any:
    """A copy with another number, which shares all other parts."""
    first, *rest = parts
    before = node[first] if isinstance(node, Mapping) else getattr(node, first)
    inner = _with(before, rest, value) if rest else _as(before, value)
    if is_dataclass(node) and not isinstance(node, type):
        return replace(node, **{first: inner})
    return {**node, first: inner}
