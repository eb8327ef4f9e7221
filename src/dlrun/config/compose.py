"""Compose the overrides with the options of the config groups, and check the result.

Hydra stops at the first mistake, and answers a typo with "use +key", which would silently add it.
So Hydra composes only the chosen options; dlrun applies the values one at a time by Hydra's rules,
and reports all mistakes at once. Nothing here imports a framework.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, cast

import yaml
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import BooleanNode, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dlrun.config import trust
from dlrun.config.checks import Rules, check_config
from dlrun.config.found_task import choices_of_data, find_task
from dlrun.config.grammar import choose, compose_choices, config_loader, is_addition, parse
from dlrun.config.groups import GROUPS
from dlrun.config.mistake import Mistake, config_error
from dlrun.config.overrides import Overrides, apply_values, read_overrides, to_config
from dlrun.config.project import HERE, Project
from dlrun.config.run_config import check_plain
from dlrun.config.schema import Config
from dlrun.config.weighting import name_classes
from dlrun.errors import shorten

# The overrides that smoke=true inserts before the others: three batches of the default size.
SMOKE = ("epochs=1", "max_steps=null", "validate_every=null", "data.limit=384")


def compose(
    overrides: Sequence[str],
    *,
    project: Project = HERE,
    recorded: bool = False,
    find: bool = True,
    earlier: Sequence[str] = (),
) -> Config:
    """Compose and check the config of one run.

    Args:
        overrides: In Hydra's grammar: ``key=value``, ``group=option``, ``+new=``, ``~delete``.
        project: The user's own options, and what is trusted.
        recorded: The overrides were read from a sweep, which may be a copy, so the components they
            name are not trusted.
        find: Whether ``task=auto`` is replaced by the task that fits the data, which are read.
        earlier: Overrides of an earlier run, which come before the others. The components that
            they name are not trusted.

    Raises:
        DlrunError: With every mistake, and the nearest valid name for each.
    """
    loader = config_loader(project.config_dir)
    typed = read_overrides([*earlier, *overrides], loader, project.config_dir)
    # Hydra adds to a group only once, and would merge a chosen loss with the task's own.
    later = [c for c in typed.choices if is_addition(c) or GROUPS[c.key_or_group].place]
    with _hydra_mistakes(typed):
        lines = [str(choice.input_line) for choice in typed.choices if choice not in later]
        base = compose_choices(lines, project.config_dir)
        if of_data := choices_of_data(base, typed):
            base = compose_choices([*of_data, *lines], project.config_dir)
    by_user = typed.parsed if not earlier else parse(overrides)[0]
    typed.values += _other_length(by_user)
    if recorded:
        typed.mistakes += [
            Mistake(str(value.input_line), "is an interpolation, which a record may not have")
            for value in typed.values
            if "${" in str(value.input_line)
        ]
    names = _trusted_names(project, () if recorded else by_user)
    if _is_smoke(base, typed.values):
        typed.values[:0] = parse(SMOKE)[0]
    if find and not typed.mistakes:
        find_task(base, typed, names, project.config_dir)
    with _hydra_mistakes(typed):
        for choice in later:
            choose(choice, base, loader)
    keys = [str(override.key_or_group) for override in by_user] if earlier else ()
    return _finish(base, typed, Rules(names, recorded=recorded or bool(earlier), typed_keys=keys))


def recompose(
    config: dict[str, Any],
    overrides: Sequence[str],
    *,
    changeable: Sequence[str],
    project: Project = HERE,
    typed_before: Sequence[str] = (),
    training: bool = False,
    unused: Sequence[str] = (),
    trained_in: str | None = None,
) -> Config:
    """Change the recorded config of a run.

    Args:
        config: The run's resolved config.
        overrides: As for :func:`compose`; a chosen option replaces the whole part of its group.
        changeable: The keys that may change, with all keys below them.
        project: The user's own options, and what is trusted.
        typed_before: The overrides that the user typed when starting this run; still trusted.
        training: Whether the run is trained further, so that its callbacks write.
        unused: Parts that are not instantiated, and whose modules may be missing.
        trained_in: Where the run was trained, as its record says, for hints.

    Raises:
        DlrunError: With every mistake, including each key that may not change.
    """
    check_plain(config)
    loader = config_loader(project.config_dir)

    def unchangeable(override: Override) -> Mistake | None:
        key = override.key_or_group
        if any(key == allowed or key.startswith(f"{allowed}.") for allowed in changeable):
            return None
        line, value = str(override.input_line), _recorded_value(config, key)
        hint = f"what may change: {', '.join(changeable)}"
        return Mistake(line, f"can't change here: the run has {shorten(value)}", hint=hint)

    typed = read_overrides(overrides, loader, project.config_dir, refuse=unchangeable)
    typed.values += _other_length(typed.parsed)
    before, _ = parse(typed_before)
    recorded = OmegaConf.create(config)
    with _hydra_mistakes(typed):
        for choice in typed.choices:
            choose(choice, recorded, loader)
        base = cast(DictConfig, OmegaConf.merge(OmegaConf.structured(Config), recorded))
    typed_by_user = [*typed.parsed, *before]
    rules = Rules(
        _trusted_names(project, typed_by_user),
        recorded=True,
        training=training,
        typed_keys=[str(override.key_or_group) for override in typed_by_user],
        unused=[part for part in unused if not overrides_part(overrides, part)],
        trained_in=trained_in,
    )
    return _finish(base, typed, rules)


def overrides_part(
    overrides: Sequence[str], part: str, *, but: frozenset[str] = frozenset()
) -> bool:
    """Whether an override changes a part of the config, such as ``data``, but for some keys."""
    keys = [str(override.key_or_group) for override in parse(overrides)[0]]
    return any((key == part or key.startswith(f"{part}.")) and key not in but for key in keys)


def to_yaml(config: Config) -> str:
    """The resolved config as YAML, keys in the schema's order."""
    return to_plain_yaml(asdict(config))


def to_plain_yaml(part: Mapping[str, Any]) -> str:
    """A part of a config as YAML, keys in their order."""
    return OmegaConf.to_yaml(OmegaConf.create(dict(part)))


def _finish(base: DictConfig, typed: Overrides, rules: Rules) -> Config:
    """Apply the values to the chosen options, and check the result.

    Args:
        base: The config of the chosen options; changed in place.
        typed: The values, and the mistakes so far.
        rules: What to check.

    Raises:
        DlrunError: With every mistake.
    """
    if isinstance(weights := base.task.class_weight, DictConfig):
        base.task.class_weight = name_classes(OmegaConf.to_container(weights))
    apply_values(base, typed)
    config = to_config(base, typed)
    mistakes = [*typed.mistakes, *check_config(config, typed.lines, rules)]
    if mistakes:
        raise config_error(mistakes)
    name = config.choices.get("experiment") or config.choices.get("model", "run")
    config.name = config.name or name
    return config


def _other_length(typed: Sequence[Override]) -> list[Override]:
    """Of ``epochs`` and ``max_steps``, one that is typed alone takes the place of the other."""
    given = {o.key_or_group for o in typed if not o.is_delete() and o.value() is not None}
    if len(given & {"epochs", "max_steps"}) != 1:
        return []
    return parse(["epochs=null" if "max_steps" in given else "max_steps=null"])[0]


def _is_smoke(base: DictConfig, values: Sequence[Override]) -> bool:
    typed = [value.value() for value in values if value.key_or_group == "smoke"]
    if not typed:
        return bool(base.smoke)
    try:
        return bool(BooleanNode().validate_and_convert(typed[-1]))
    except OmegaConfBaseException:  # reported when it is applied
        return False


def _recorded_value(config: dict[str, Any], key: str) -> str:
    choices = config.get("choices")
    if isinstance(choices, dict) and key in choices:
        return f"{key}={choices[key]}"
    node: Any = config
    for part in key.split("."):
        node = node.get(part) if isinstance(node, dict) else None
    return "none" if node is None else str(node)


def _trusted_names(project: Project, typed: Sequence[Override]) -> trust.TrustedNames:
    values = [(str(override.key_or_group), override.value()) for override in typed]
    return trust.trusted_names(project, values)


@contextmanager
def _hydra_mistakes(typed: Overrides) -> Iterator[None]:
    """Report an error of Hydra after the mistakes known so far."""
    try:
        yield
    except (HydraException, OmegaConfBaseException, yaml.YAMLError) as error:
        raise config_error([*typed.mistakes, _hydra_mistake(error)]) from error


def _hydra_mistake(error: Exception) -> Mistake:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return Mistake("", f"{mark.name}, line {mark.line + 1}: {error.problem}")
    head, *rest = [line.strip() for line in str(error).strip().splitlines()] or [
        type(error).__name__
    ]
    # The first line names the file, the second the problem, another the key.
    if "raised while composing" in head and rest:
        head = f"{head.partition(':')[0]}: {rest[0]}"
    key = next((f" ({line})" for line in rest if line.startswith("full_key: ")), "")
    head += key.replace("full_key: ", "")
    packages = {group.name: group.place for group in GROUPS.values() if group.place}
    packages["experiment"] = "_global_"
    places = [
        package
        for name, package in packages.items()
        # Of its first key, and of a default that it overrides.
        if f"Key '{name}' not in 'Config'" in head or f"@{name}." in head
    ]
    hint = f"begin the file with '# @package {places[0]}'" if places else None
    return Mistake("", head, hint=hint)
