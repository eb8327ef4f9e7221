"""Parse overrides, and apply them to a config one at a time."""

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import Container, DictConfig, OmegaConf
from omegaconf.errors import InterpolationToMissingValueError, OmegaConfBaseException

from dlrun.config.explain import empty_value, key_mistake, option_mistakes
from dlrun.config.explain_values import expected_fix, value_mistake, wrong_type
from dlrun.config.grammar import Loader, apply, is_choice, list_group_options, parse
from dlrun.config.groups import GROUPS
from dlrun.config.mistake import Mistake, config_error
from dlrun.config.removal import has_key, is_missing, remove
from dlrun.config.run_config import PLACES
from dlrun.config.schema import Config
from dlrun.errors import first_line

ENVIRONMENT = re.compile(r"\$\{oc\.env:[^{}]+\}")
INTERVALS = ("every", "validate_every")
PLACES_OF_OPTIONS = frozenset(group.key for group in GROUPS.values())
UNKNOWN = re.compile(r"^Key '(.+)' is not in struct")
# As JSON has them: 007 is text.
NUMBER = re.compile(r"[+-]?(0|[1-9]\d*)(\.\d*)?([eE][+-]?\d+)?")


@dataclass
class Overrides:
    """Overrides in Hydra's grammar, by kind.

    Args:
        parsed: All that could be parsed, even those with mistakes.
        choices: The valid ones that choose an option of a group.
        values: The other valid ones; each sets a value.
        config_dir: The user's own options, for hints.
        mistakes: The mistakes so far.
    """

    parsed: list[Override]
    choices: list[Override]
    values: list[Override]
    config_dir: Path | None
    mistakes: list[Mistake] = field(default_factory=list)

    @property
    def lines(self) -> dict[str, str]:
        """The text of each override, by key."""
        return {str(o.key_or_group): str(o.input_line) for o in (*self.choices, *self.values)}


def read_overrides(
    overrides: Sequence[str],
    loader: Loader,
    config_dir: Path | None,
    refuse: Callable[[Override], Mistake | None] = lambda override: None,
) -> Overrides:
    """Parse overrides, and check the choices among them.

    Args:
        overrides: In Hydra's grammar.
        loader: Has the groups and their options.
        config_dir: The user's own options.
        refuse: Returns the mistake if an override is not allowed.
    """
    parsed, mistakes = parse(overrides)
    mistakes += [mistake for override in parsed if (mistake := refuse(override))]
    choices = [override for override in parsed if is_choice(loader, override)]
    mistakes += option_mistakes(choices, functools.partial(list_group_options, loader))
    wrong = {mistake.override for mistake in mistakes}
    valid = [override for override in parsed if str(override.input_line) not in wrong]
    return Overrides(
        parsed,
        [override for override in valid if override in choices],
        [override for override in valid if override not in choices],
        config_dir,
        mistakes,
    )


def apply_values(config: DictConfig, overrides: Overrides) -> None:
    """Apply the values to a config in the order typed; mistakes are added to ``overrides``."""
    OmegaConf.set_struct(config, True)
    for name in config:
        _open_mappings(config._get_node(name), str(name))
    declared: dict[str, Any] = {}
    for value in overrides.values:
        if mistake := _apply(config, value, declared, overrides.config_dir):
            overrides.mistakes.append(mistake)


def _open_mappings(node: Any, key: str) -> None:
    """Let the user name the keys of each mapping that an option declares empty: ``columns: {}``."""
    if isinstance(node, DictConfig) and not node._is_missing() and not node._is_none():
        if not node and "." in key and key not in PLACES_OF_OPTIONS:
            OmegaConf.set_struct(node, False)
        for name in node:
            _open_mappings(node._get_node(name), f"{key}.{name!s}")


def to_config(composed: DictConfig, overrides: Overrides) -> Config:
    """Convert a composed config to the typed one.

    Raises:
        DlrunError: With every mistake so far, missing values and wrong types included.
    """
    try:
        read_numbers(composed)
        missing = OmegaConf.missing_keys(composed)
        mistakes = [
            *overrides.mistakes,
            *(Mistake(key, f"needs a value: {key}=...") for key in sorted(missing)),
        ]
        if mistakes:
            raise config_error(mistakes)
        config = OmegaConf.to_object(composed)
    except OmegaConfBaseException as error:
        mistake = value_mistake(error.full_key or "", overrides.lines, error)
        if isinstance(error, InterpolationToMissingValueError):
            key = first_line(error).rpartition(": ")[2]
            mistake = Mistake(key, f"needs a value: {key}=...")
        raise config_error([*overrides.mistakes, mistake]) from error
    assert isinstance(config, Config)
    return config


def _apply(
    config: DictConfig, value: Override, declared: dict[str, Any], config_dir: Path | None
) -> Mistake | None:
    """Apply one value.

    Args:
        config: Changed in place.
        value: The override.
        declared: By key, what its option has declared: its type is what all its overrides must
            have, of an earlier run too. It gets the keys that no override has set before.
        config_dir: The user's own options.
    """
    line, key = str(value.input_line), value.key_or_group
    part = key.split(".")[0]
    if part not in config or part == "choices" or (part != key and _is_null(config, part)):
        return key_mistake(line, key, config, config_dir)
    before = _value_at(config, key)
    declared.setdefault(key, before)
    adds = value.is_add() or value.is_force_add()
    known = has_key(config, key)
    needed = known and is_missing(config, key) and _is_own(config, key)
    is_place = PLACES.fullmatch(key.split(".")[-1]) and (needed or isinstance(before, str))
    if known and value.is_delete():
        return remove(config, value)
    if (known or adds) and (mistake := empty_value(value, before)):
        return mistake
    try:
        apply(value, config)
    except (HydraException, OmegaConfBaseException) as error:
        missing = None if known or adds else key
        if missing is None and (below := UNKNOWN.search(str(error.__cause__ or error))):
            missing = f"{key}.{below[1]}"  # in a mapping
        return (
            key_mistake(line, missing, config, config_dir)
            if missing
            else value_mistake(key, {key: line}, error, before)
        )
    after = None
    try:
        if "${" in line:
            read_numbers(config)
        after = _value_at(config, key)
        if isinstance(declared[key], float) and type(after) is int:
            # Such as 1 for 0.001: Keras takes no integer learning rate.
            OmegaConf.update(config, key, float(after))
        if is_place and after is not None and not isinstance(after, str | Container):
            OmegaConf.update(config, key, line.partition("=")[2])  # such as the folder 2026
        kind = _kind(key, declared[key])
        if is_place and kind is None:
            kind = ""
        problem = wrong_type(kind, after)
    except OmegaConfBaseException as error:
        problem = first_line(error)
    if problem is None:
        return None
    # Restore the old value, so that the mistake is reported once.
    OmegaConf.update(config, key, before, merge=False)
    return Mistake(line, problem, **expected_fix(line, problem, before))


def _kind(key: str, declared: Any) -> Any:
    """A value of the type that a key takes; None for any."""
    if key == "epochs" and isinstance(declared, int):
        return float(declared)  # whole or not
    if key.rpartition(".")[2] in INTERVALS:
        return None  # a number of steps, or text
    return declared


def _is_own(config: DictConfig, key: str) -> bool:
    """Whether a key is an argument of a component of dlrun's."""
    component = OmegaConf.select(config, f"{key.rpartition('.')[0]}._target_")
    return str(component).startswith("dlrun.")


def _is_null(config: DictConfig, part: str) -> bool:
    """Whether a part is a mapping that is null, below which OmegaConf can set nothing."""
    node = config._get_node(part)
    return isinstance(node, DictConfig) and node._is_none()


def read_numbers(config: Any) -> None:
    """Read each value that is an environment variable, and a number, as the number.

    The environment holds text. Typed keys convert it; the arguments of a component would take a
    learning rate of ``'0.01'``.

    Args:
        config: A DictConfig or ListConfig, changed in place. Paths stay text.
    """
    plain: Any = OmegaConf.to_container(config, resolve=False)
    for name, value in plain.items() if isinstance(plain, dict) else enumerate(plain):
        if PLACES.fullmatch(str(name)):
            continue
        if isinstance(value, dict | list):
            read_numbers(config[name])
        elif isinstance(value, str) and ENVIRONMENT.fullmatch(value):
            try:
                text = str(config[name])
            except OmegaConfBaseException:  # reported when the config is resolved
                continue
            if NUMBER.fullmatch(text):
                config[name] = int(text) if text.lstrip("+-").isdecimal() else float(text)


def _value_at(config: DictConfig, key: str) -> Any:
    # None for a deleted key, a missing value or an unknown key.
    return OmegaConf.select(config, key, throw_on_missing=False)
