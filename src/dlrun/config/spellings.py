"""What other tools call a key or a range of values, and what it is called here."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from dlrun.config.bare_words import KEYS as OWN_KEYS
from dlrun.config.groups import GROUPS
from dlrun.config.options import config_dirs
from dlrun.config.other_tools import (
    ANSWERS,
    DATA_SETS,
    KEYS,
    PARTS,
    PLATEAU,
    RANGES,
    SCHEDULED,
    VALUES,
)
from dlrun.errors import list_names, nearest

# Null, or a value for each output or class by name.
NAMED = ("task.loss_weights", "task.class_weight", "task.sampling")
_NULLS = ("=null", "=none", "=None", "=false", "=False")


def is_config_word(key: str) -> bool:
    """Whether a key, or its first part, has a meaning: here, or in another tool."""
    first = key.partition(".")[0]
    return any(first in words for words in (OWN_KEYS, GROUPS, KEYS, PARTS, ANSWERS))


def key_here(key: str, value: str, keys: Collection[str], *, in_group: bool = False) -> str | None:
    """What is typed in this config where another tool has ``key``; None if nothing is known.

    Args:
        key: As typed.
        value: With its ``=``; empty without one.
        keys: Those of the config.
        in_group: Only what the word means in the group of the key.
    """
    form = _form(key, in_group=in_group)
    form = _own_word(form or key, keys) or form
    if form is None:
        return None
    typed = form.format(value.removeprefix("=")) if "=" in form else form + value
    first = form.partition("=")[0]
    return typed if first in keys or first in GROUPS or first.startswith("+") else None


def _own_word(key: str, keys: Collection[str]) -> str | None:
    """The key in which the chosen option keeps its library's word, as ``optimizer.lr`` of torch.

    A word without a group, such as ``learning_rate``, is that of each group that has it.
    """
    words = (
        f"{form.rpartition('.')[0]}.{word}"
        for word, form in KEYS.items()
        if form == key or form.endswith(f".{key}")
    )
    return next((word for word in words if word in keys), None) if key not in keys else None


def answer(key: str, keys: Collection[str], config_dir: Path | None) -> str | None:
    """What to know of a key that this config has nothing for, as a hint; None if nothing is known.

    Args:
        key: A dotted key that the config does not have.
        keys: Those of the config.
        config_dir: As for :func:`dlrun.config.options.config_dirs`.
    """
    parent, _, last = key.rpartition(".")
    here = (_form(key) or key).partition("=")[0]
    if "." in here:
        places = [here]
    else:  # an argument without its part
        places = [f"{group}.{here}" for group in ("model", "schedule", "optimizer", "data")]
    if last in ANSWERS:
        places = [key]
    for place in places:
        if hint := options_with(place, keys, config_dir):
            known = place == key or hint.startswith("it is ")
            return hint if known else f"it is {place} here; {hint}"
    return ANSWERS.get(last) or (
        SCHEDULED if PARTS.get(parent.rpartition(".")[2]) == "schedule" else None
    )


def as_mapping(key: str, value: str) -> str | None:
    """The mapping to type for a key below one of ``NAMED``; None for another key.

    Args:
        key: As typed, such as ``task.sampling.department``.
        value: With its ``=``.
    """
    whole = next((name for name in NAMED if key.startswith(f"{name}.")), None)
    if whole is None or not value.startswith("="):
        return None
    inner = value[1:]
    for part in reversed(key[len(whole) + 1 :].split(".")):
        inner = f"{{{part}: {inner}}}"
    return f"'{whole}={inner}'"


def value_here(value: str, options: Collection[str]) -> str | None:
    """The option that another tool calls ``value``; None if none is known."""
    found = VALUES.get(value.lower())
    return found if found in options else None


def data_set_here(name: str) -> str | None:
    """What is typed for a data set that ``data=`` was to have as an option; None if unknown."""
    option = next((option for option, names in DATA_SETS.items() if name in names), None)
    return f"data={option} data.name={name}" if option else None


def _form(key: str, *, in_group: bool = False) -> str | None:
    parents, _, last = key.rpartition(".")
    first = parents.rpartition(".")[2]
    group = PARTS.get(first, first)
    if not parents and last in PARTS:
        return PARTS[last]
    if form := KEYS.get(f"{group}.{last}"):
        return form
    if group == "schedule" != first and last in PLATEAU:
        return f"+callbacks=reduce_lr_on_plateau callbacks.reduce_lr_on_plateau.{last}={{}}"
    form = KEYS.get(last, "")
    if form and (not in_group or form.startswith(f"{group}.")):
        return form
    return f"{group}.{last}" if group != first and not in_group else None


def range_here(key: str, typed: str) -> str | None:
    """How a range is written that another tool has as a function, such as ``loguniform(...)``."""
    match = re.fullmatch(r"(?:\w+\.)*(\w+)\((.*)\)", typed.strip(), re.DOTALL)
    if match is None or (form := RANGES.get(match[1].lower())) is None:
        return None
    return f"'{key}={form.format(match[2].strip('[]() '))}'"


def without(near: str | None, value: str) -> str | None:
    """How a named part is removed that was to be null, such as ``~callbacks.early_stopping``."""
    place = (near or "").rpartition(".")[0]
    several = place in {group.key for group in GROUPS.values() if group.several}
    return f"~{near}" if several and value in _NULLS else None


def options_with(key: str, keys: Collection[str], config_dir: Path | None) -> str | None:
    """Which options of a key's group have it, or what it is here, as a hint; None if none has.

    Args:
        key: A dotted key that the config does not have.
        keys: Those of the config.
        config_dir: As for :func:`dlrun.config.options.config_dirs`.
    """
    groups = [group for group in GROUPS.values() if key.startswith(f"{group.key}.")]
    if not groups:
        return None
    group = max(groups, key=lambda group: len(group.key))  # task.metrics rather than task
    part = key[len(group.key) + 1 :].partition(".")[0]
    if not re.fullmatch(r"\w+", part):
        return None
    folders = [folder / group.name for folder in reversed(config_dirs(config_dir))]  # own ones last
    paths = [path for folder in folders for path in folder.glob("*.yaml")]
    if group.several:
        option = nearest(part, [path.stem for path in paths])
        if option is None or any(f"{group.key}.{name}" in keys for name in (part, option)):
            return None
        meant = f"{group.key}.{option}{key[len(group.key) + 1 + len(part) :]}"
        return f"{'' if meant == key else f'it is {meant} here; '}+{group.name}={option} adds it"
    has = re.compile(rf"^{part}\s*:", re.MULTILINE)
    texts = {path.stem: path.read_text(encoding="utf-8", errors="replace") for path in paths}
    found = {option for option, text in texts.items() if has.search(text)}
    if not found:
        here = _form(key, in_group=True)
        hint = options_with(here, keys, config_dir) if here else None
        return f"it is {here} here; {hint}" if hint else None
    names = sorted(found)
    have = "has" if len(names) == 1 else "have"
    return (
        f"{group.name}={list_names(names, 6)} {have} it; in a sweep of several,"
        f" '{key}=where({group.name}={names[0]},...)'"
    )
