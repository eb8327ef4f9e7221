"""Expand overrides with several values into the overrides of each run, or into a search space."""

import itertools
from collections.abc import Sequence
from pathlib import Path

from hydra.core.override_parser.types import IntervalSweep, Override
from omegaconf import OmegaConf

from dlrun.config.compose import compose
from dlrun.config.explain import Mistake, config_error
from dlrun.config.grammar import config_loader
from dlrun.config.ranges import parse_line
from dlrun.config.sweeps.space import Interval, Space, range_problem, search_values
from dlrun.errors import DlrunError
from dlrun.system.override_text import split_override


def search_space(
    overrides: Sequence[str],
    *,
    config_dir: Path | None = None,
    trusted: Sequence[str] = (),
    recorded: bool = False,
) -> tuple[list[str], Space]:
    """Split overrides into the fixed ones and the search space by key.

    Ranges are in Hydra's grammar, with ``tag(log, ...)`` for a logarithmic one. An interval with
    integer bounds holds only integers, unless the config has a float there. A key typed with ``+``
    keeps it.

    Args:
        overrides: In Hydra's grammar, ranges included.
        config_dir: The user's own options.
        trusted: As for :func:`dlrun.config.compose.compose`.
        recorded: As for :func:`dlrun.config.compose.compose`.

    Raises:
        DlrunError: If an override can't be parsed, or no key has a range.
    """
    parsed = _with_experiment_sweep(
        overrides, config_dir, trusted, searching=True, recorded=recorded
    )
    fixed = [str(override.input_line) for override in parsed if not override.is_sweep_override()]
    ranges = [override for override in parsed if override.is_sweep_override()]
    if not ranges:
        raise DlrunError(
            "nothing to search: no key has several values",
            hint="give a key a range: 'optimizer.learning_rate=tag(log, interval(1e-5, 1e-1))'",
        )
    config = OmegaConf.structured(
        compose(
            [value_overrides(override)[0] for override in parsed],
            config_dir=config_dir,
            trusted=trusted,
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
    overrides: Sequence[str], *, config_dir: Path | None = None, trusted: Sequence[str] = ()
) -> tuple[list[str], list[list[str]]]:
    """The overrides of each run, in Hydra's order.

    Typed values take precedence over an experiment's own ``sweep``.

    Args:
        overrides: In Hydra's grammar, with several values: ``a,b``, ``range(5)``,
            ``choice(a,b)``, ``glob(*)``.
        config_dir: The user's own options.
        trusted: As for :func:`dlrun.config.compose.compose`.

    Returns:
        The keys that differ, and each run's overrides.

    Raises:
        DlrunError: If an override can't be parsed, has no values, or has a search range.
    """
    parsed = _parse(overrides, config_dir)
    keys: dict[str, None] = {}
    runs: list[list[str]] = []
    for experiment in _experiment_choices(parsed):  # each may have its own sweep
        lines = [experiment.get(index, line) for index, line in enumerate(overrides)]
        complete = _with_experiment_sweep(lines, config_dir, trusted)
        swept = [*parsed, *complete[len(lines) :]]
        keys |= dict.fromkeys(str(o.key_or_group) for o in swept if o.is_sweep_override())
        runs += [list(run) for run in itertools.product(*map(value_overrides, complete))]
    return list(keys), runs


def _experiment_choices(parsed: Sequence[Override]) -> list[dict[int, str]]:
    """The choices of an experiment, each by its index among the overrides."""
    for index, override in enumerate(parsed):
        if override.key_or_group == "experiment" and override.is_sweep_override():
            return [{index: line} for line in value_overrides(override)]
    return [{}]


def _with_experiment_sweep(
    overrides: Sequence[str],
    config_dir: Path | None,
    trusted: Sequence[str],
    *,
    searching: bool = False,
    recorded: bool = False,
) -> list[Override]:
    """The overrides, followed by those of an experiment's own ``sweep`` for other keys."""
    parsed = _parse(overrides, config_dir, searching)
    first = [value_overrides(override)[0] for override in parsed]
    typed = {str(override.key_or_group) for override in parsed}
    config = compose(first, config_dir=config_dir, trusted=trusted, recorded=recorded)
    added = [
        f"{key}={_comma_separated(key, values)}"
        for key, values in (config.sweep or {}).items()
        if split_override(str(key))[0] not in typed
    ]
    return _parse([*overrides, *added], config_dir, searching)


def _parse(
    overrides: Sequence[str], config_dir: Path | None, searching: bool = False
) -> list[Override]:
    loader = config_loader(config_dir)
    parsed: list[Override] = []
    mistakes = []
    for line in overrides:
        override = parse_line(line, loader)
        if isinstance(override, Mistake):
            mistakes.append(override)
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


def value_overrides(override: Override) -> list[str]:
    """An override for each of its values; for an interval, of those that check it."""
    if not override.is_sweep_override():
        return [str(override.input_line)]
    if not override.is_discrete_sweep():
        values = search_values(override).values_to_check
    else:
        values = list(override.sweep_string_iterator())
    # Outside quotes Hydra writes gpu\:1; it reads gpu:1 as the same.
    plain = [value if value[:1] in "'\"" else value.replace("\\:", ":") for value in values]
    return [f"{override.get_key_element()}={value}" for value in plain]


def _comma_separated(key: str, values: object) -> str:
    if isinstance(values, list) and values:
        return ",".join("null" if value is None else str(value) for value in values)
    if isinstance(values, str | int | float):
        return str(values)
    raise DlrunError(f"sweep.{key}: expected values such as '1,2,3' or a list, got {values!r}")
