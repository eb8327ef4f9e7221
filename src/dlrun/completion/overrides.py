"""What an override may be: a group and its options, or a key of the config and its values."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dlrun import distribution
from dlrun.config.groups import GROUPS
from dlrun.config.options import config_dirs, first_comment
from dlrun.errors import DlrunError

VALUES = {
    "smoke": ("true", "false"),
    "backend.compilation_cache": ("true", "false"),
    "device.kind": ("auto", "cpu", "gpu", "tpu"),
    "distribution.kind": distribution.names(),
    "matmul_precision": ("default", "high", "highest"),
    "precision": (
        "float32", "mixed_bfloat16", "mixed_float16", "bfloat16", "float16", "float64",
    ),
    "task.mode": ("min", "max", "auto"),
    "task.sampling": ("oversample", "undersample", "null"),
    "task.class_weight": ("balanced", "null"),
}  # fmt: skip
# What is short for other overrides, see dlrun.config.grammar.
SHORT_KEYS = {"max_time": "End the run in time, such as 8h"}
SHORT_PARTS = {"callbacks.checkpoint.": "checkpoint."}
PATHS = ("path", "dir", "file", "directory")
MARKS = "+~"
Found = Iterator[tuple[str, str]]


class Options:
    """The options of a config, with the user's own.

    Args:
        config_dir: As typed after ``--config-dir``; None for the working directory.
    """

    def __init__(self, config_dir: str | None) -> None:
        try:
            self._places = config_dirs(Path(config_dir) if config_dir else None)
        except DlrunError:
            self._places = config_dirs()
        self.primary = _read(self._places[-1] / "dlrun.yaml")

    def names(self, group: str) -> dict[str, str]:
        """The options of a group, each with its line."""
        found: dict[str, str] = {}
        for place in reversed(self._places):
            for path in sorted((place / group).glob("*.yaml")):
                found[path.stem] = first_comment(path)
        return dict(sorted(found.items()))

    def read(self, group: str, option: str) -> dict[str, Any]:
        """The content of an option; empty if there is none."""
        for place in self._places:
            if (path := place / group / f"{option}.yaml").is_file():
                return _read(path)
        return {}


def complete_override(word: str, typed: Sequence[str], options: Options) -> Found:
    """The words that begin with an unfinished override, each with its meaning.

    Args:
        word: The unfinished one.
        typed: The overrides before it, which choose options.
        options: All options.
    """
    mark = word[: len(word) - len(word.lstrip(MARKS))]
    key, equals, value = word[len(mark) :].partition("=")
    if not equals:
        for name, meaning in _keys(key, typed, options):
            if mark == "~":  # takes away what has keys, too, such as a callback
                yield mark + name.removesuffix("."), meaning
            if mark != "~" or name.endswith("."):
                yield mark + name + ("" if name.endswith(".") else "="), meaning
        return
    # After a comma, or within a list, the next value is completed.
    at = max(value.rfind(","), value.rfind("["), value.rfind("(")) + 1
    begun, rest = value[:at], value[at:]
    taken = set(begun.strip("[").split(","))
    for option, meaning in _values(key, rest, options):
        if option not in taken:
            yield f"{mark}{key}={begun}{option}", meaning


def _values(key: str, begun: str, options: Options) -> Found:
    if key in GROUPS:
        yield from options.names(key).items()
    elif key in VALUES:
        yield from ((value, "") for value in VALUES[key])
    elif key.rpartition(".")[2].endswith(PATHS):
        yield from ((path, "") for path in _paths(begun))


def _keys(begun: str, typed: Sequence[str], options: Options) -> Found:
    """Groups and keys; of a part's own keys only those of the part that is begun."""
    part = begun.rpartition(".")[0]
    if not part:
        for group in GROUPS.values():
            yield group.name, group.meaning.partition(".")[0]
        keys = [key for key in options.primary if key != "defaults"]
        yield from ((key, "") for key in keys)
        yield from SHORT_KEYS.items()
    chosen = _options_by_group(typed, options)
    below: dict[str, None] = {}
    for key in _option_keys(chosen, options):
        if not part and key.startswith(begun):
            below[f"{key.partition('.')[0]}."] = None
        elif part and key.startswith(f"{part}."):
            inner = key[len(part) + 1 :].partition(".")
            below[f"{part}.{inner[0]}" + ("." if inner[1] else "")] = None
    yield from ((key, "") for key in below)


def _options_by_group(typed: Sequence[str], options: Options) -> dict[str, list[str]]:
    """The options of each group: typed ones, those that they choose, and the defaults."""
    chosen: dict[str, list[str]] = {}
    added: dict[str, list[str]] = {}
    for override in typed:
        key, _, value = override.lstrip(MARKS).partition("=")
        if key in GROUPS and value:
            target = added if override.startswith("+") else chosen
            target.setdefault(key, []).extend(value.strip("[]").split(","))
    for group, names in [*chosen.items(), *added.items()]:
        for name in names:
            for entry in _defaults(options.read(group, name)):
                for other, option in entry.items():
                    if other.startswith("override /"):
                        place = other.removeprefix("override /").partition("@")[0]
                        chosen.setdefault(place, [str(option)])
    for entry in _defaults(options.primary):
        for group, option in entry.items():
            default = option if isinstance(option, list) else [option] if option else []
            chosen.setdefault(group, list(map(str, default)))
    return {group: names + added.get(group, []) for group, names in chosen.items()}


def _option_keys(chosen: Mapping[str, Sequence[str]], options: Options) -> Iterator[str]:
    for group, names in chosen.items():
        if group not in GROUPS or group == "experiment":
            continue
        for name in names:
            content = options.read(group, name)
            # An option such as callbacks=default is a list of others of its group.
            others = [e for e in content.get("defaults") or () if isinstance(e, str)]
            for of in (content, *(options.read(group, o) for o in others if o != "_self_")):
                for key in _flat(of, f"{GROUPS[group].key}."):
                    yield key
                    for part, short in SHORT_PARTS.items():
                        if key.startswith(part):
                            yield short + key.removeprefix(part)


def _flat(mapping: Mapping[str, Any], prefix: str) -> Iterator[str]:
    for name, value in mapping.items():
        if name == "defaults" or str(name).startswith("_"):
            continue
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def _defaults(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    entries = content.get("defaults")
    return [e for e in entries if isinstance(e, dict)] if isinstance(entries, list) else []


def _read(path: Path) -> dict[str, Any]:
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return content if isinstance(content, dict) else {}


def _paths(begun: str) -> Iterator[str]:
    folder, _, name = begun.rpartition("/")
    place = f"{folder}/" if folder or begun.startswith("/") else ""
    try:
        entries = sorted(os.scandir(place or "."), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith(name) and (name.startswith(".") or entry.name[0] != "."):
            yield place + entry.name + ("/" if entry.is_dir() else "")
