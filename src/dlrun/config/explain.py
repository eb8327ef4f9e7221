"""Explain what is wrong with an override, and suggest the nearest valid name."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Override, ValueType
from omegaconf import DictConfig, OmegaConf

from dlrun.config.bare_words import KNOWN, meant_by
from dlrun.config.explain_values import example
from dlrun.config.groups import GROUPS
from dlrun.config.mistake import NO_OVERRIDE, UNKNOWN, Mistake
from dlrun.config.options import list_options
from dlrun.config.spellings import (
    answer,
    as_mapping,
    data_set_here,
    key_here,
    options_with,
    range_here,
    value_here,
    without,
)
from dlrun.errors import nearest, shorten

SEVERAL, SWEEP = "has several values, but a run takes one", "'dlrun sweep' trains one run for each"
EMPTY = "has no value after '='"
PRESET = "a preset of your own is configs/experiment/NAME.yaml, chosen by experiment=NAME"
NOTHING = ("none", "null", "no", "off", "false")  # typed for no option
IDLE = ("none", "constant")  # the options that change nothing
DIMENSIONS = ("zip(", "where(")  # of dlrun's own, which are not in Hydra's grammar
TABLE = re.compile(r"[^\s=]+\.(csv|tsv|jsonl|parquet|arrow|feather|orc)(\.gz)?")


def apart(words: str, meant: str) -> Mistake:
    """For words that are one override with spaces in it, as ``epochs = 3``, or with two ``=``."""
    problem = "expected a single '='" if "==" in words else "expected key=value without spaces"
    return Mistake(words, problem, meant=meant)


def parse_mistake(line: str) -> Mistake:
    """The mistake in an override that Hydra can't parse."""
    key, separator, typed = line.partition("=")
    if not separator:
        return _bare_word(line)
    if typed.startswith(DIMENSIONS) and typed.endswith(")"):
        return Mistake(line, SEVERAL, hint=SWEEP)
    if (written := range_here(key, typed)) is not None:
        return Mistake(line, "is no range that dlrun knows", hint=f"{written} in a search")
    if typed.startswith(",") or typed.endswith(",") or ",," in typed:
        hint = f"'{key}=1,2,3', without spaces between the values or in quotes"
        hint = f"'{key}=\",\"' for a comma" if typed == "," else hint
        return Mistake(line, "has an empty value", hint=hint)
    spaced = re.fullmatch(r"\s*([\w.]+)\s*=[\s=]*([\w.+-]+)\s*", line)
    if spaced and (meant := f"{spaced[1]}={spaced[2]}") != line:
        return apart(line, meant)
    quoting = f"{key}='\"{shorten(typed)}\"', or '{key}=[1,2]' for a list"
    return Mistake(line, "can't be parsed", hint=f"quote special characters, as in {quoting}")


def _bare_word(word: str) -> Mistake:
    if not word.strip():
        return Mistake(f"'{word}'", NO_OVERRIDE, hint=KNOWN)
    if table := _as_table(word):
        return Mistake(word, NO_OVERRIDE, meant=table)
    meant, hint = (None, PRESET) if word.endswith((".yaml", ".yml")) else meant_by(word)
    return Mistake(word, NO_OVERRIDE, meant=meant, hint=hint)


def grammar_mistake(line: str, parsed: Override) -> Mistake | None:
    """The mistake in an override that Hydra can parse; None if it is valid."""
    if parsed.is_sweep_override():
        hint = SWEEP
        if parsed.value_type is ValueType.SIMPLE_CHOICE_SWEEP:
            key, _, typed = line.partition("=")
            hint += f"; for a list, type '{key}=[{shorten(typed)}]'"
        return Mistake(line, SEVERAL, hint=hint)
    if not parsed.key_or_group:
        return Mistake(line, "has no key before '='", hint=KNOWN)
    return None


def empty_value(parsed: Override, before: Any = None) -> Mistake | None:
    """The mistake in an override that ends in ``=``; None if it does not.

    Args:
        parsed: The override.
        before: The value that its key has.
    """
    line, key = str(parsed.input_line), str(parsed.key_or_group)
    if parsed.is_delete() or line.partition("=")[2].strip():
        return None
    hint = f"{key}=NAME, of 'dlrun list {key}'" if key in GROUPS else example(key, before)
    return Mistake(line, EMPTY, hint=hint or f"{key}=VALUE")


def option_mistakes(
    choices: Sequence[Override], options_of: Callable[[str], list[str]]
) -> list[Mistake]:
    """The mistakes in the choices of options."""
    mistakes = []
    for choice in choices:
        group = choice.key_or_group
        options = options_of(group)
        value, line = choice.value(), str(choice.input_line)
        single = not GROUPS[group].several
        if empty := empty_value(choice):
            mistakes.append(empty)
            continue
        if choice.is_delete() and group != "experiment":
            hint = "choose another option" if single else f"{group}=[] removes all"
            mistakes.append(Mistake(line, f"'{group}' can't be removed", hint=hint))
            continue
        if value is None and not choice.is_delete():
            problem = "can't be null: choose an option of the group"
            mistakes.append(Mistake(line, problem, meant=_choice_of_none(group, options)))
            continue
        if single and isinstance(value, list):
            mistakes.append(Mistake(line, f"takes one option; there are {', '.join(options)}"))
            continue
        if single and value in options and line.startswith("+"):
            problem = f"adds to '{group}', which takes one option"
            mistakes.append(Mistake(line, problem, meant=line.lstrip("+")))
        for option in value if isinstance(value, list) else [value]:
            if option is None or option in options:
                continue
            near = value_here(str(option), options) or nearest(str(option), options)
            meant = line.replace(str(option), near) if near else None
            if str(option).lower() in NOTHING and not isinstance(value, list):
                meant = _choice_of_none(group, options)
            file = None
            if group == "data":
                file = _as_table(str(option)) or data_set_here(str(option))
            mistakes.append(
                Mistake(
                    line,
                    f"no such option in group '{group}'; there are {', '.join(options)}",
                    meant=file or meant,
                    hint=_written_after_a_run(option) if group == "export" else None,
                )
            )
    return mistakes


def _choice_of_none(group: str, options: Sequence[str]) -> str | None:
    """What is typed for no option of a group, or for the one that changes nothing; None if none."""
    if GROUPS[group].several:
        return f"{group}=[]"
    idle = next((option for option in IDLE if option in options), None)
    return f"{group}={idle}" if idle else None


def _as_table(path: str) -> str | None:
    """The overrides that read a table whose path was typed alone; None if it is not one's."""
    return f"data=table data.path={path}" if TABLE.fullmatch(path) else None


def _written_after_a_run(option: object) -> str | None:
    """Where the formats of ``dlrun export`` are, for who looks for them in the group ``export``."""
    from dlrun.exports import formats

    return f"dlrun export RUN --format {option}" if option in formats.names() else None


def key_mistake(line: str, key: str, config: DictConfig, config_dir: Path | None) -> Mistake:
    """For a key that the config does not have, with the nearest one that it has."""
    if key == "repeats":
        return Mistake(line, "a run is not repeated", hint="dlrun sweep takes repeats")
    operator, _, rest = line.partition(key or "=")
    # A key typed with + may be a typo too.
    value = rest if operator in ("", "+", "++") else ""
    adds, operator = operator.startswith("+"), "~" if operator == "~" else ""
    if key == "checkpoint" and not operator:  # short for a callback, which is no value
        return Mistake(line, f"'checkpoint' {UNKNOWN}", meant=f"checkpoint.every{value}")
    keys = [
        known
        for known in _all_keys(OmegaConf.to_container(config))
        if not known.rpartition(".")[2].startswith("_")
    ]
    parent = key.rpartition(".")[0]
    siblings = [k.rpartition(".")[2] for k in keys if parent and k.rpartition(".")[0] == parent]
    near = _nearest_key(key, keys, siblings)
    as_table = _as_table(value.removeprefix("=")) if key == "data.path" else None
    as_other = as_mapping(key, value) or as_table
    of_callback = f"callbacks.{key}" if operator and f"callbacks.{key}" in keys else None
    here = of_callback or as_other or key_here(key, value, keys, in_group=bool(siblings and near))
    if here and not (operator and "=" in here):  # what sets a key removes none
        return _unknown_key(line, key, f"{operator}{here}", config_dir)
    same_ending = [
        known for known in keys if known.endswith(f".{key}") and "callbacks" not in known
    ]
    if same_ending:
        near = same_ending[0]
    elif known := _known(line, key, keys, config, config_dir):
        return known
    if siblings or near is None:
        near = _in_another_part(key, keys) or near
    places = {*GROUPS, *(group.key for group in GROUPS.values())}
    if near in places and key.startswith(f"{near}."):
        near = None  # its option is not a value
    if near and value == "=true" and any(known.startswith(f"{near}.") for known in keys):
        return Mistake(line, f"'{key}' {UNKNOWN}", hint=f"{near} is on; ~{near} removes it")
    if near in GROUPS and GROUPS[near].several and adds:
        operator = "+"  # without it, the option would replace all others
    meant = without(near, value) or (f"{operator}{near}{value}" if near else None)
    hint = None if near or operator else options_with(key, keys, config_dir)
    if not near and not hint and siblings and parent in config.choices:
        hint = f"{parent}={config.choices[parent]} takes {', '.join(siblings[:8])}"
    return _unknown_key(line, key, meant, config_dir, hint)


def _known(
    line: str, key: str, keys: Sequence[str], config: DictConfig, config_dir: Path | None
) -> Mistake | None:
    """The mistake of a key of which something is known, if need be with its first part corrected.

    Of all keys, the one most similar to ``callback.batch_log.every`` is of another callback.
    """
    if not line.startswith("~") and (hint := answer(key, keys, config_dir)):
        return Mistake(line, f"'{key}' {UNKNOWN}", hint=hint)
    first, dot, rest = key.partition(".")
    parts = {known.partition(".")[0] for known in keys} | set(GROUPS)
    part = nearest(first, sorted(parts)) if dot and first not in parts else None
    if part is None:
        return None
    meant = f"{GROUPS[part].key if part in GROUPS else part}.{rest}"
    typed = line.replace(key, meant, 1)
    if meant in keys:
        return Mistake(line, f"'{key}' {UNKNOWN}", meant=typed.lstrip("+"))
    mistake = key_mistake(typed, meant, config, config_dir)
    if mistake.hint and not mistake.hint.startswith("it is "):
        mistake = replace(mistake, hint=f"it is {meant} here; {mistake.hint}")
    known = mistake.meant or mistake.hint
    return replace(mistake, override=line, problem=f"'{key}' {UNKNOWN}") if known else None


def _unknown_key(
    line: str, key: str, meant: str | None, config_dir: Path | None, hint: str | None = None
) -> Mistake:
    """For a key that the config does not have; ``schedule=none`` is meant as what says so here."""
    group, _, value = (meant or "").lstrip("+").partition("=")
    if group in GROUPS and value.lower() in NOTHING:
        meant = _choice_of_none(group, list(list_options(config_dir)[group]))
        hint = None if meant else f"{group}=NAME, of 'dlrun list {group}'"
    return Mistake(line, f"'{key}' {UNKNOWN}", meant=meant, hint=hint)


def _nearest_key(key: str, keys: Sequence[str], siblings: Sequence[str]) -> str | None:
    """The known key or group that is most like another one; of the same part, if that exists.

    Args:
        key: What was typed.
        keys: All that are known.
        siblings: The last parts of those beside it.
    """
    if not siblings:
        return nearest(key, [*keys, *GROUPS])
    # Compare the last parts only: the common parent would make all keys similar.
    parent, _, last = key.rpartition(".")
    name = nearest(last, siblings)
    return f"{parent}.{name}" if name else None


def _in_another_part(key: str, keys: Sequence[str]) -> str | None:
    """The only key of other parts with the last word of a key, such as ``task.monitor``."""
    parent, _, last = key.rpartition(".")
    if last in keys:
        return last if parent else None
    found = [k for k in keys if k.rpartition(".")[2] == last and not k.startswith("callbacks.")]
    return found[0] if parent and len(found) == 1 else None


def _all_keys(config: Any, prefix: str = "") -> Iterable[str]:
    for name, value in config.items():
        key = f"{prefix}{name}"
        if key != "choices":
            yield key
            if isinstance(value, dict):
                yield from _all_keys(value, f"{key}.")
