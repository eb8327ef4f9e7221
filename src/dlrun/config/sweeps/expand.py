"""Expand overrides with several values into the overrides of each run, or into a search space."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import IntervalSweep, Override
from omegaconf import OmegaConf

from dlrun.config.bare_words import join_words
from dlrun.config.compose import compose
from dlrun.config.explain import apart
from dlrun.config.grammar import config_loader
from dlrun.config.mistake import Mistake, as_typed, config_error
from dlrun.config.project import HERE, Project
from dlrun.config.ranges import parse_line
from dlrun.config.schema import Config
from dlrun.config.sweeps.pairs import PairedRows, Where, take_apart
from dlrun.config.sweeps.space import Interval, Space, range_problem, search_values, value_overrides
from dlrun.errors import DlrunError, nearest
from dlrun.runs.query import flat, text
from dlrun.system.override_text import split_override

RUN_LISTS = (".csv", ".tsv", ".yaml", ".json")  # of --runs


def search_space(
    overrides: Sequence[str],
    *,
    project: Project = HERE,
    recorded: bool = False,
    also: Sequence[str] = (),
) -> tuple[list[str], Space]:
    """Split overrides into the fixed ones and the search space by key.

    Ranges are in Hydra's grammar, with ``tag(log, ...)`` for a logarithmic one. An interval with
    integer bounds holds only integers, unless the config has a float there. A key typed with ``+``
    keeps it.

    Args:
        overrides: In Hydra's grammar, ranges included.
        project: The user's own options, and what is trusted.
        recorded: As for :func:`dlrun.config.compose.compose`.
        also: Overrides of the other dimensions, for the config; then no key needs a range.

    Raises:
        DlrunError: If an override can't be parsed, or no key has a range.
    """
    parsed, _ = _with_experiment_sweep(
        overrides,
        project,
        searching=True,
        recorded=recorded,
        also=also,
        set_keys=[split_override(line)[0] for line in also],
    )
    fixed = [str(override.input_line) for override in parsed if not override.is_sweep_override()]
    ranges = [override for override in parsed if override.is_sweep_override()]
    if not ranges and not also:
        raise DlrunError(
            "nothing to search: no key has several values",
            hint="give a key a range: 'optimizer.learning_rate=tag(log, interval(1e-5, 1e-1))'",
        )
    config = OmegaConf.structured(
        compose(
            [*(value_overrides(override)[0] for override in parsed), *also],
            project=project,
            recorded=recorded,
        )
    )
    space: Space = {}
    for override in ranges:
        values = search_values(override)
        default = OmegaConf.select(config, override.key_or_group)
        continuous = isinstance(override.value(), IntervalSweep) and isinstance(default, float)
        if continuous and isinstance(values, Interval):
            values = values.continuous()
        space[override.get_key_element()] = values
    return fixed, space


def expand(
    overrides: Sequence[str], *, project: Project = HERE, listed: PairedRows | None = None
) -> tuple[list[str], list[list[str]]]:
    """The overrides of each run, in Hydra's order.

    Typed values take precedence over an experiment's own ``sweep``.

    Args:
        overrides: In Hydra's grammar, with several values: ``a,b``, ``range(5)``,
            ``choice(a,b)``, ``glob(*)``; and ``name=zip(...)``, ``key=where(...)``, see
            :mod:`dlrun.config.sweeps.pairs`.
        listed: The overrides of each run from a file, combined with the others.
        project: The user's own options, and what is trusted.

    Returns:
        The keys that differ, and each run's overrides.

    Raises:
        DlrunError: If an override can't be parsed, has no values, or has a search range.
    """
    overrides, paired, conditional = take_apart(overrides, config_loader(project.config_dir))
    paired += [listed] if listed else []
    first = [line for each in paired for line in each.rows[0]]
    set_keys = [key for each in paired for key in each.keys]
    set_keys += [split_override(each.line)[0] for each in conditional]
    parsed = _parse(overrides, project.config_dir)
    for override in parsed:
        if listed and str(override.key_or_group) in listed.keys:
            raise DlrunError(f"{override.input_line}: --runs sets '{override.key_or_group}' too")
    keys: dict[str, None] = {}
    runs: list[list[str]] = []
    for experiment in _experiment_choices(parsed):  # each may have its own sweep
        lines = [experiment.get(index, line) for index, line in enumerate(overrides)]
        complete, config = _with_experiment_sweep(lines, project, also=first, set_keys=set_keys)
        swept = [*parsed, *complete[len(lines) :]]
        keys |= dict.fromkeys(str(o.key_or_group) for o in swept if o.is_sweep_override())
        choices = [[[line] for line in value_overrides(override)] for override in complete]
        choices += [each.rows for each in paired]
        found = [[line for part in run for line in part] for run in itertools.product(*choices)]
        runs += with_conditions(found, conditional, config, project.config_dir)
    return [*keys, *(key for key in set_keys if key not in keys)], runs


def with_conditions(
    runs: Sequence[list[str]], conditional: Sequence[Where], config: Config, config_dir: Path | None
) -> list[list[str]]:
    """Give the runs in which a condition holds its values.

    Args:
        runs: The overrides of each run.
        conditional: What depends on a condition.
        config: What holds for keys that a run does not set.
        config_dir: The user's own options.
    """
    expanded = [(each, value_overrides(_parse([each.line], config_dir)[0])) for each in conditional]
    for each, lines in expanded:
        if not any(each.holds(run_values(run, each.condition, config)) for run in runs):
            raise _never_holds(each, runs, config)
        runs = [
            [*run, *added]
            for run in runs
            for added in (
                [[line] for line in lines]
                if each.holds(run_values(run, each.condition, config))
                else [[]]
            )
        ]
    return list(runs)


def _never_holds(each: Where, runs: Sequence[list[str]], config: Config) -> DlrunError:
    condition = ",".join(f"{key}={'|'.join(of)}" for key, of in each.condition.items())
    for key, of in each.condition.items():
        there = {run_values(run, [key], config)[key] or "" for run in runs}
        if len(there) > 1 and not there & set(of):
            values = ", ".join(sorted(there)[:8])
            near = nearest(of[0], there)
            return DlrunError(
                f"{each.key}=where({condition},...): no run has {condition}; {key} is {values}",
                hint=f"did you mean where({key}={near},...)?" if near else None,
            )
    return DlrunError(
        f"{each.key}=where({condition},...): no run has {condition}",
        hint=f"sweep over {', '.join(each.condition)} too, or leave out the condition",
    )


def run_values(lines: Sequence[str], keys: Iterable[str], config: Config) -> dict[str, str | None]:
    """The values of some keys in a run, as text: as its overrides say, else as the config has."""
    typed = dict(map(split_override, lines))
    plain: dict[str, Any] = {}
    if any(key not in typed for key in keys):
        plain = dict(flat(asdict(config))) | dict(config.choices)
    return {key: typed[key] if key in typed else text(plain.get(key)) for key in keys}


def _experiment_choices(parsed: Sequence[Override]) -> list[dict[int, str]]:
    """The choices of an experiment, each by its index among the overrides."""
    for index, override in enumerate(parsed):
        if override.key_or_group == "experiment" and override.is_sweep_override():
            return [{index: line} for line in value_overrides(override)]
    return [{}]


def _with_experiment_sweep(
    overrides: Sequence[str],
    project: Project,
    *,
    searching: bool = False,
    recorded: bool = False,
    also: Sequence[str] = (),
    set_keys: Sequence[str] = (),
) -> tuple[list[Override], Config]:
    """The overrides, followed by those of an experiment's own ``sweep`` for other keys.

    Also the config of the first run, with the overrides ``also``; ``set_keys`` are set elsewhere.
    """
    parsed = _parse(overrides, project.config_dir, searching)
    first = [*(value_overrides(override)[0] for override in parsed), *also]
    typed = {str(override.key_or_group) for override in parsed} | set(set_keys)
    try:
        config = compose(first, project=project, recorded=recorded)
    except DlrunError as error:
        lines = {one: str(o.input_line) for one, o in zip(first, parsed, strict=False)}
        raise as_typed(error, lines) from error
    added = [
        f"{key}={_comma_separated(key, values)}"
        for key, values in (config.sweep or {}).items()
        if split_override(str(key))[0] not in typed
    ]
    return _parse([*overrides, *added], project.config_dir, searching), config


def _parse(
    overrides: Sequence[str], config_dir: Path | None, searching: bool = False
) -> list[Override]:
    loader = config_loader(config_dir)
    parsed: list[Override] = []
    mistakes = []
    for line, meant in join_words(overrides):
        override = apart(line, meant) if meant else parse_line(line, loader)
        if isinstance(override, Mistake):
            of_file = Path(line).suffix in RUN_LISTS and "=" not in line
            hint = f"dlrun sweep --runs {line} trains the runs of a file" if of_file else None
            mistakes.append(replace(override, hint=hint) if hint else override)
            continue
        same_key = [other for other in parsed if other.key_or_group == override.key_or_group]
        continuous = override.is_sweep_override() and not override.is_discrete_sweep()
        if continuous and not searching:
            hint = "choose values, as in key=1,2,3, or search with --search optuna"
            mistakes.append(Mistake(line, "is a search range, not a list of values", hint=hint))
        elif not value_overrides(override):
            mistakes.append(Mistake(line, "has no values"))
        elif same_key and any(each.is_sweep_override() for each in [override, *same_key]):
            mistakes.append(Mistake(line, f"'{override.key_or_group}' already has values"))
        elif searching and (problem := range_problem(override)):
            mistakes.append(Mistake(line, problem))
        parsed.append(override)
    if mistakes:
        raise config_error(mistakes)
    return parsed


def _comma_separated(key: str, values: object) -> str:
    if isinstance(values, list) and values:
        return ",".join("null" if value is None else str(value) for value in values)
    if isinstance(values, str | int | float):
        return str(values)
    raise DlrunError(f"sweep.{key}: expected values such as '1,2,3' or a list, got {values!r}")
