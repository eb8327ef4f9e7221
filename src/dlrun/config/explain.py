"""Explain what is wrong with an override, and suggest the nearest valid name."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Override, ValueType
from omegaconf import Container, DictConfig, ListConfig, OmegaConf

from dlrun.config.bare_words import DEFAULTS, KNOWN, meant_by
from dlrun.config.groups import GROUPS
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
from dlrun.errors import DlrunError, nearest, shorten

UNKNOWN = "is not a config key"
SEVERAL, SWEEP = "has several values, but a run takes one", "'dlrun sweep' trains one run for each"
PRESET = "a preset of your own is configs/experiment/NAME.yaml, chosen by experiment=NAME"
NO_OVERRIDE = "is not an override: expected key=value"
DIMENSIONS = ("zip(", "where(")  # of dlrun's own, which are not in Hydra's grammar
TABLE = re.compile(r"[^\s=]+\.(csv|tsv|jsonl|parquet|arrow|feather|orc)(\.gz)?")


@dataclass(frozen=True)
class Mistake:
    """What was typed, what is wrong with it, and the likely intention."""

    override: str
    problem: str
    meant: str | None = None
    hint: str | None = None

    @property
    def place(self) -> str:
        """The override as a message shows it."""
        return shorten(self.override)

    def with_values(self, line: str | None) -> "Mistake":
        """The same in a sweep, whose ``line`` has several values; a wrong value stays alone."""
        if line is None or not self.problem.endswith(UNKNOWN):
            return self
        value, values = self.override.partition("=")[2], line.partition("=")[2]
        meant = self.meant
        if meant and meant.endswith(f"={value}"):
            meant = meant.removesuffix(value) + values
            meant = f"'{meant}'" if "(" in values else meant
        return replace(self, override=line, meant=meant)

    @classmethod
    def of(cls, line: str, problem: str, options: Iterable[str]) -> "Mistake":
        """For a value that is not among ``options``, with the nearest of them."""
        key, separator, typed = line.partition("=")
        value = typed or problem.rpartition("'")[0].rpartition("'")[2]
        near = (value_here(value, list(options)) or nearest(value, options)) if separator else None
        return cls(line, problem, meant=f"{key}={near}" if near else None)

    @classmethod
    def of_argument(cls, line: str, key: str, problem: str, names: Iterable[str]) -> "Mistake":
        """For an argument that is not among ``names``, with the nearest of them."""
        parent, _, name = key.rpartition(".")
        near, (_, separator, typed) = nearest(name, names), line.partition("=")
        return cls(line, problem, meant=f"{parent}.{near}{separator}{typed}" if near else None)


def config_error(mistakes: Sequence[Mistake]) -> DlrunError:
    """All mistakes as one error: a line for a single mistake, else a table."""
    mistakes = list(dict.fromkeys(mistakes))
    meant = ", ".join(shorten(mistake.meant) for mistake in mistakes if mistake.meant)
    suggestion = f"did you mean {meant}?" if meant else ""
    hints = dict.fromkeys(mistake.hint for mistake in mistakes if mistake.hint)
    hint = " ".join(filter(None, [suggestion, "; ".join(hints)]))
    if len(mistakes) == 1:
        [mistake] = mistakes
        colon = "" if mistake.problem == NO_OVERRIDE else ":"
        prefix = f"{mistake.place}{colon} " if mistake.override else ""
        message = f"{prefix}{mistake.problem}"
    else:
        width = max(len(mistake.place) for mistake in mistakes)
        rows = [f"  {mistake.place:<{width}}   {mistake.problem}" for mistake in mistakes]
        message = "\n".join([f"{len(mistakes)} mistakes in the config", *rows])
    error = DlrunError(message, hint=hint or None, exit_code=2)
    error.mistakes = mistakes
    return error


def as_typed(error: DlrunError, lines: Mapping[str, str]) -> DlrunError:
    """The error of a sweep's first run, in which a wrong key has all its values.

    Args:
        error: What composing the run has raised.
        lines: What was typed, by the override of the run.
    """
    if not error.mistakes:
        return error
    return config_error([each.with_values(lines.get(each.override)) for each in error.mistakes])


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
    if typed.endswith(",") or ",," in typed:
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
    key, _, typed = line.partition("=")
    if parsed.is_sweep_override():
        hint = SWEEP
        if parsed.value_type is ValueType.SIMPLE_CHOICE_SWEEP:
            hint += f"; for a list, type '{key}=[{shorten(typed)}]'"
        return Mistake(line, SEVERAL, hint=hint)
    if not parsed.key_or_group:
        return Mistake(line, "has no key before '='", hint=KNOWN)
    if not typed.strip() and not parsed.is_delete():
        return Mistake(line, "has no value after '='", hint=example(key, DEFAULTS.get(key)))
    return None


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
        if choice.is_delete() and group != "experiment":
            hint = "choose another option" if single else f"{group}=[] removes all"
            mistakes.append(Mistake(line, f"'{group}' can't be removed", hint=hint))
            continue
        if value is None and not choice.is_delete():
            mistakes.append(Mistake(line, "can't be null: choose an option of the group"))
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
    if key == "checkpoint":  # short for a callback, which is no value
        return Mistake(line, f"'checkpoint' {UNKNOWN}", meant=f"checkpoint.every{value}")
    operator = "~" if operator == "~" else ""
    keys = [
        known
        for known in _all_keys(OmegaConf.to_container(config))
        if not known.rpartition(".")[2].startswith("_")
    ]
    near, siblings = nearest(key, [*keys, *GROUPS]), []
    parent, _, last = key.rpartition(".")
    if parent in keys:
        siblings = [k.rpartition(".")[2] for k in keys if k.rpartition(".")[0] == parent]
    if siblings:
        # Compare the last parts only: the common parent would make all keys similar.
        name = nearest(last, siblings)
        near = f"{parent}.{name}" if name else None
    as_table = _as_table(value.removeprefix("=")) if key == "data.path" else None
    as_other = as_mapping(key, value) or as_table
    if here := as_other or key_here(key, value, keys, in_group=bool(siblings and near)):
        return Mistake(line, f"'{key}' {UNKNOWN}", meant=f"{operator}{here}")
    same_ending = [
        known for known in keys if known.endswith(f".{key}") and "callbacks" not in known
    ]
    if same_ending:
        near = same_ending[0]
    elif hint := answer(key, keys, config_dir):
        return Mistake(line, f"'{key}' {UNKNOWN}", hint=hint)
    near = near or (last if parent and last in keys else None)
    places = {*GROUPS, *(group.key for group in GROUPS.values())}
    if near in places and key.startswith(f"{near}."):
        near = None  # its option is not a value
    if near and value == "=true" and any(known.startswith(f"{near}.") for known in keys):
        return Mistake(line, f"'{key}' {UNKNOWN}", hint=f"{near} is on; ~{near} removes it")
    meant = without(near, value) or (f"{operator}{near}{value}" if near else None)
    hint = None if near else options_with(key, keys, config_dir)
    if not near and not hint and siblings and parent in config.choices:
        hint = f"{parent}={config.choices[parent]} takes {', '.join(siblings[:8])}"
    return Mistake(line, f"'{key}' {UNKNOWN}", meant=meant, hint=hint)


def value_mistake(key: str, typed: dict[str, str], error: Exception, before: Any = None) -> Mistake:
    """For a value that its key does not take, or a key that a typed part does not have.

    Args:
        key: The key.
        typed: The text of each override, by key.
        error: What OmegaConf has raised.
        before: A value that the key takes.
    """
    problem = str(error.__cause__ or error).strip().splitlines()[0]
    expected = {"Integer": "an integer", "Float": "a number", "Boolean": "true or false"}
    expected |= {"int": "an integer", "float": "a number", "bool": "true or false"}
    if match := re.search(r"could not be converted to (\w+)|is not a valid (\w+)", problem):
        got = re.search(r"[Vv]alue '(.*?)'", problem)
        kind = match[1] or match[2]
        problem = f"expected {expected.get(kind, kind)}" + (
            f", got {shorten(repr(got[1]))}" if got else ""
        )
    elif match := re.search(r"^Value '(.*?)' .* incompatible with type hint .*float", problem):
        problem = f"expected a number, got {shorten(repr(match[1]))}"
    elif "is not Optional" in problem:
        problem = "can't be null"
    line = typed.get(key, key)
    return Mistake(line, problem, **expected_fix(line, problem, before))


def expected_fix(line: str, problem: str, before: Any) -> dict[str, str | None]:
    """What was meant by a value of the wrong type, or else a hint, as arguments of a Mistake."""
    if not problem.startswith("expected"):
        return {}
    meant = as_integer(line, problem)
    key = line.partition("=")[0].lstrip("+")
    return {"meant": meant, "hint": list_hint(line) or (None if meant else example(key, before))}


def example(key: str, value: Any) -> str | None:
    """A hint with a number or truth value that a key takes; None for a value of another type."""
    if isinstance(value, bool):
        return f"as in {key}=true"
    return f"as in {key}={value}" if isinstance(value, int | float) else None


def as_integer(line: str, problem: str) -> str | None:
    """What an integer is typed as that was typed as ``1e3`` or ``1000.0``; None if it is none."""
    key, _, value = line.partition("=")
    number = re.fullmatch(r"\d{1,15}(\.\d{0,15})?(e\+?\d)?", value, re.IGNORECASE)
    if number is None or not problem.startswith("expected an integer"):
        return None
    return f"{key}={int(float(value))}" if float(value).is_integer() else None


def list_hint(line: str) -> str | None:
    """How several values are typed, where a list stands for a single one."""
    match = re.fullmatch(r"([\w.]+)=\[([^\[\]{}]*,[^\[\]{}]*)\]", line)
    return f"dlrun sweep {match[1]}={match[2].replace(' ', '')}, a run for each" if match else None


def wrong_type(before: Any, after: Any) -> str | None:
    """Why ``after`` can't replace ``before``; None if its type fits.

    The value in the option's YAML file determines the type: null accepts anything, and a mapping
    with a ``_target_`` fits everywhere, as a schedule does for a learning rate.
    """
    if before is None or (isinstance(after, DictConfig) and "_target_" in after):
        return None
    if isinstance(before, DictConfig) and "_target_" in before and isinstance(after, str):
        return None  # Keras' name of a loss or metric; the signature check covers the rest
    kinds: list[tuple[type | tuple[type, ...], str]] = [
        (bool, "true or false"),
        (int, "an integer"),
        (float, "a number"),
        (str, "text"),
        (ListConfig, f"a list, as in [{_as_item(after)}]"),
        (DictConfig, "a mapping, as in {key:value}"),
    ]
    kind, words = next((k for k in kinds if isinstance(before, k[0])), (object, ""))
    fits = isinstance(after, kind) and not (isinstance(after, bool) and kind is not bool)
    if kind is float and isinstance(after, int) and not isinstance(after, bool):
        fits = True
    if kind is str and not isinstance(after, Container):
        fits = True
    if after is None or fits:
        return None
    plain = OmegaConf.to_container(after) if isinstance(after, Container) else after
    return f"expected {words}, got {shorten(repr(plain))}"


def _as_item(value: Any) -> str:
    """What is shown in a list as an example: the value itself, where it may be an item."""
    is_item = isinstance(value, str | int | float) and re.fullmatch(r"[\w./+-]{1,60}", str(value))
    return str(value) if is_item else "1,2"


def _all_keys(config: Any, prefix: str = "") -> Iterable[str]:
    for name, value in config.items():
        key = f"{prefix}{name}"
        if key != "choices":
            yield key
            if isinstance(value, dict):
                yield from _all_keys(value, f"{key}.")
