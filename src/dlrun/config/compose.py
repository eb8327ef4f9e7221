"""Compose what the user typed with the options of the config groups, and check the result.

Hydra stops at the first mistake and answers a typo with "use +key", which would add it in silence.
So the choices of options are composed by Hydra, the values are laid over them one at a time by
Hydra's own rule, and every mistake is told at once. Nothing here imports a framework.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import yaml
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import BooleanNode, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dlrun.config import trust
from dlrun.config.explain import (
    Mistake,
    config_error,
    key_mistake,
    option_mistakes,
    value_mistake,
    wrong_type,
)
from dlrun.config.grammar import adds, apply, choose, config_loader, is_choice, of_choices, parse
from dlrun.config.limits import broken_limits
from dlrun.config.modes import resolve_modes
from dlrun.config.options import PACKAGES
from dlrun.config.outputs import wrong_outputs
from dlrun.config.recorded import check_plain, outside, refused
from dlrun.config.schema import Config
from dlrun.config.signature import feed_not_accepted, wrong_arguments
from dlrun.errors import DlrunError, first_line

# What smoke=true types before the user does: three batches of the usual size, once.
SMOKE = ("epochs=1", "data.limit=384")


def compose(
    overrides: Sequence[str],
    *,
    config_dir: Path | None = None,
    trusted: Sequence[str] = (),
    recorded: bool = False,
) -> Config:
    """Compose and check the config of one run.

    Args:
        overrides: In Hydra's grammar: ``key=value``, ``group=option``, ``+new=``, ``~delete``.
        config_dir: The user's own options; by default ``./configs``.
        trusted: Modules that may be instantiated besides those that the user's options name.
        recorded: The overrides were not typed now but read, from a sweep that may have been
            copied: what they name is not trusted for that.

    Raises:
        DlrunError: With every mistake, and the nearest valid name for each.
    """
    loader = config_loader(config_dir)
    parsed, mistakes = parse(overrides)
    choices = [override for override in parsed if is_choice(loader, override)]
    mistakes += option_mistakes(choices, loader.repository.get_group_options)
    wrong = {mistake.override for mistake in mistakes}
    sound = [choice for choice in choices if str(choice.input_line) not in wrong]
    # Hydra adds to a group once only, and would merge a loss with what the task itself has there.
    later = [c for c in sound if adds(c) or c.key_or_group in PACKAGES]
    try:
        lines = [str(choice.input_line) for choice in sound if choice not in later]
        base = of_choices(lines, config_dir)
        for choice in later:
            choose(choice, base, loader)
    except (HydraException, OmegaConfBaseException, yaml.YAMLError) as error:
        raise config_error([*mistakes, *_told_by_hydra(error)]) from error
    values = [override for override in parsed if override not in choices]
    if _smokes(base, values):
        values = parse(SMOKE)[0] + values
    if recorded:
        mistakes += [
            Mistake(str(value.input_line), "is an interpolation, and in a record none is followed")
            for value in values
            if "${" in str(value.input_line)
        ]
        named = _named(trusted, (), config_dir)
        return _finish(base, values, mistakes, named, recorded=True)
    return _finish(base, values, mistakes, _named(trusted, parsed, config_dir))


def recompose(
    config: dict[str, Any],
    overrides: Sequence[str],
    *,
    changeable: Sequence[str],
    config_dir: Path | None = None,
    trusted: Sequence[str] = (),
    typed: Sequence[str] = (),
    training: bool = False,
    unused: Sequence[str] = (),
) -> Config:
    """Change the config of a run that has been.

    Args:
        config: The run's resolved config.
        overrides: As for :func:`compose`; a group choice replaces that group's whole part.
        changeable: The keys that may change; a key covers what is below it.
        config_dir: The user's own options; by default ``./configs``.
        trusted: As for :func:`compose`.
        typed: What the user has typed for this very run before, which is trusted as it was then.
        training: Whether the run goes on, and its callbacks write.
        unused: Parts that nothing is made of, and whose modules may be gone.

    Raises:
        DlrunError: With every mistake, a key that may not change among them.
    """
    check_plain(config)
    loader = config_loader(config_dir)
    parsed, mistakes = parse(overrides)
    for override in parsed:
        key = override.key_or_group
        if not any(key == allowed or key.startswith(f"{allowed}.") for allowed in changeable):
            near = f"what may change: {', '.join(changeable)}"
            line, had = str(override.input_line), _recorded(config, key)
            mistakes.append(Mistake(line, f"can't change here: the run has {had}", hint=near))
    choices = [override for override in parsed if is_choice(loader, override)]
    mistakes += option_mistakes(choices, loader.repository.get_group_options)
    wrong = {mistake.override for mistake in mistakes}
    recorded = OmegaConf.create(config)
    try:
        for choice in choices:
            if str(choice.input_line) not in wrong:
                choose(choice, recorded, loader)
        base = cast(DictConfig, OmegaConf.merge(OmegaConf.structured(Config), recorded))
    except (HydraException, OmegaConfBaseException, yaml.YAMLError) as error:
        raise config_error([*mistakes, *_told_by_hydra(error)]) from error
    values = [o for o in parsed if o not in choices and str(o.input_line) not in wrong]
    before, _ = parse(typed)
    named = _named(trusted, [*parsed, *before], config_dir)
    known = [str(override.key_or_group) for override in [*parsed, *before]]
    return _finish(
        base,
        values,
        mistakes,
        named,
        recorded=True,
        training=training,
        known=known,
        unused=[part for part in unused if not overrides_part(overrides, part)],
    )


def overrides_part(overrides: Sequence[str], part: str) -> bool:
    """Whether one of the overrides changes a part of the config, such as ``data``."""
    keys = [str(override.key_or_group) for override in parse(overrides)[0]]
    return any(key == part or key.startswith(f"{part}.") for key in keys)


def _recorded(config: dict[str, Any], key: str) -> str:
    choices = config.get("choices")
    if isinstance(choices, dict) and key in choices:
        return f"{key}={choices[key]}"
    node: Any = config
    for part in key.split("."):
        node = node.get(part) if isinstance(node, dict) else None
    return "none" if node is None else str(node)


def to_yaml(config: Config) -> str:
    """The resolved config as YAML, keys in the schema's order."""
    return OmegaConf.to_yaml(OmegaConf.structured(config))


def _finish(
    base: DictConfig,
    values: list[Override],
    mistakes: list[Mistake],
    named: trust.Named,
    *,
    recorded: bool = False,
    training: bool = True,
    known: Sequence[str] = (),
    unused: Sequence[str] = (),
) -> Config:
    OmegaConf.set_struct(base, True)
    for value in values:
        mistakes += _apply(base, value)
    typed = {str(value.key_or_group): str(value.input_line) for value in values}
    try:
        missing = OmegaConf.missing_keys(base)
    except OmegaConfBaseException as error:
        mistakes.append(value_mistake(error.full_key or "", typed, error))
        raise config_error(mistakes) from error
    mistakes += [Mistake(key, f"needs a value: {key}=...") for key in sorted(missing)]
    if mistakes:
        raise config_error(mistakes)
    try:
        config = OmegaConf.to_object(base)
    except OmegaConfBaseException as error:
        raise config_error([value_mistake(error.full_key or "", typed, error)]) from error
    assert isinstance(config, Config)
    if refusals := trust.check(config, named):
        raise _untrusted(refusals, typed, recorded)
    resolve_modes(config)
    for key, problem, options in (
        *broken_limits(config),
        *(feed_not_accepted(config) if training else ()),
    ):
        if not training and key.endswith("monitor"):
            continue  # nothing is monitored
        mistakes.append(Mistake.of(typed.get(key, key), problem, options))
    for key, problem, _ in outside(config.callbacks) if recorded and training else ():
        if key not in known:
            mistakes.append(Mistake(key, problem))
    for key, problem, options in (*wrong_arguments(config), *wrong_outputs(config.task)):
        if key.partition(".")[0] in unused:
            continue
        mistakes.append(Mistake.of_argument(typed.get(key, key), key, problem, options))
    if mistakes:
        raise config_error(mistakes)
    config.name = (
        config.name or config.choices.get("experiment") or config.choices.get("model", "run")
    )
    return config


def _smokes(base: DictConfig, values: list[Override]) -> bool:
    typed = [value.value() for value in values if value.key_or_group == "smoke"]
    if not typed:
        return bool(base.smoke)
    try:
        return bool(BooleanNode().validate_and_convert(typed[-1]))
    except OmegaConfBaseException:  # told when it is applied
        return False


def _apply(config: DictConfig, value: Override) -> list[Mistake]:
    line, key = str(value.input_line), value.key_or_group
    if key.split(".")[0] not in config or key.split(".")[0] == "choices":
        return [key_mistake(line, key, config)]
    before = _value_at(config, key)
    try:
        apply(value, config)
    except (HydraException, OmegaConfBaseException) as error:
        if before is None and not value.is_add() and not value.is_force_add():
            parent, _, last = key.rpartition(".")
            node = OmegaConf.select(config, parent) if parent else config
            if not (isinstance(node, DictConfig) and last in node):
                return [key_mistake(line, key, config)]
        return [value_mistake(key, {key: line}, error)]
    try:
        after = _value_at(config, key)
        if isinstance(before, float) and type(after) is int:
            # 1 where the option has 0.001: Keras takes no integer for a learning rate.
            OmegaConf.update(config, key, float(after))
        problem = wrong_type(before, after)
    except OmegaConfBaseException as error:
        problem = first_line(error)
    if problem and not value.is_delete():
        # Put the old value back, so that one mistake is not told twice.
        OmegaConf.update(config, key, before, merge=False)
        return [Mistake(line, problem)]
    return []


def _value_at(config: DictConfig, key: str) -> Any:
    # A deleted key, a missing value and one that never was all count as nothing to compare with.
    return OmegaConf.select(config, key, throw_on_missing=False)


def _named(
    trusted: Sequence[str], typed: Sequence[Override], config_dir: Path | None
) -> trust.Named:
    values = [(str(one.key_or_group), one.value()) for one in typed]
    return trust.named(trusted, values, config_dir)


def _untrusted(refusals: list[trust.Refusal], typed: dict[str, str], recorded: bool) -> DlrunError:
    if recorded and not any(refusal.key in typed for refusal in refusals):
        return refused(refusals)
    return config_error(
        [
            Mistake(
                typed.get(refusal.key, refusal.key),
                f"{refusal.target} {refusal.problem}".strip(),
                hint=f"--trust {refusal.allow}" if refusal.allow else None,
            )
            for refusal in refusals
        ]
    )


def _told_by_hydra(error: Exception) -> list[Mistake]:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return [Mistake("", f"{mark.name}, line {mark.line + 1}: {error.problem}")]
    head, *rest = [line.strip() for line in str(error).strip().splitlines()] or [
        type(error).__name__
    ]
    # The first line names the file, the second what is wrong with it, another the key.
    if "raised while composing" in head and rest:
        head = f"{head.partition(':')[0]}: {rest[0]}"
    key = next((f" ({line})" for line in rest if line.startswith("full_key: ")), "")
    head += key.replace("full_key: ", "")
    places = [p for group, p in PACKAGES.items() if f"Key '{group}' not in 'Config'" in head]
    hint = f"begin the file with '# @package {places[0]}'" if places else None
    return [Mistake("", head, hint=hint)]
