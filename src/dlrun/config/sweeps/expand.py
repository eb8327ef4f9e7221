"""From overrides with several values to the overrides of each run, or to a space to search in."""

import itertools
from collections.abc import Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override
from hydra.errors import HydraException
from omegaconf import OmegaConf

from dlrun.config.compose import compose
from dlrun.config.explain import Mistake, config_error, unparsed
from dlrun.config.grammar import config_loader
from dlrun.config.sweeps.space import Interval, Space, unsearchable, within
from dlrun.errors import DlrunError
from dlrun.system.override_text import split_override


def search_space(
    overrides: Sequence[str],
    *,
    config_dir: Path | None = None,
    trusted: Sequence[str] = (),
    recorded: bool = False,
) -> tuple[list[str], Space]:
    """What is the same in each run, and by key what to search among.

    Ranges are those of Hydra's grammar, with ``tag(log, ...)`` for a logarithmic one. An interval
    between integers holds integers, but for a key that has a float. A key has its ``+`` before it,
    where it was typed with one.

    Args:
        overrides: In Hydra's grammar, ranges included.
        config_dir: The user's own options.
        trusted: As for :func:`dlrun.config.compose.compose`.
        recorded: Likewise.

    Raises:
        DlrunError: If an override can't be parsed or there is nothing to search among.
    """
    parsed = _with_own(overrides, config_dir, trusted, searching=True, recorded=recorded)
    fixed = [str(override.input_line) for override in parsed if not override.is_sweep_override()]
    ranges = [override for override in parsed if override.is_sweep_override()]
    if not ranges:
        raise DlrunError(
            "there is nothing to search among",
            hint="give a key a range: 'optimizer.learning_rate=tag(log, interval(1e-5, 1e-1))'",
        )
    config = OmegaConf.structured(
        compose(
            [_values(o)[0] for o in parsed],
            config_dir=config_dir,
            trusted=trusted,
            recorded=recorded,
        )
    )
    space: Space = {}
    for override in ranges:
        values = within(override)
        had = OmegaConf.select(config, override.key_or_group)
        continuous = isinstance(override.value(), IntervalSweep) and isinstance(had, float)
        if continuous and isinstance(values, Interval):
            values = values.continuous()
        space[override.get_key_element()] = values
    return fixed, space


def expand(
    overrides: Sequence[str], *, config_dir: Path | None = None, trusted: Sequence[str] = ()
) -> tuple[list[str], list[list[str]]]:
    """The overrides of each run, in the order in which Hydra counts.

    What is typed comes before what an experiment's own ``sweep`` has for the same key.

    Args:
        overrides: In Hydra's grammar, several values included: ``a,b``, ``range(5)``,
            ``choice(a,b)``, ``glob(*)``.
        config_dir: The user's own options.
        trusted: As for :func:`dlrun.config.compose.compose`.

    Returns:
        The keys that differ, and each run's overrides.

    Raises:
        DlrunError: If an override can't be parsed, has no value, or is of another kind.
    """
    parsed = _parsed(overrides, config_dir)
    keys: dict[str, None] = {}
    runs: list[list[str]] = []
    for experiment in _experiments(parsed):  # each may have a sweep of its own
        lines = [experiment.get(index, line) for index, line in enumerate(overrides)]
        one = _with_own(lines, config_dir, trusted)
        swept = [*parsed, *one[len(lines) :]]
        keys |= dict.fromkeys(str(o.key_or_group) for o in swept if o.is_sweep_override())
        runs += [list(run) for run in itertools.product(*map(_values, one))]
    return list(keys), runs


def _experiments(parsed: Sequence[Override]) -> list[dict[int, str]]:
    """The choices of an experiment, each by its place among the overrides."""
    for index, override in enumerate(parsed):
        if override.key_or_group == "experiment" and override.is_sweep_override():
            return [{index: line} for line in _values(override)]
    return [{}]


def _with_own(
    overrides: Sequence[str],
    config_dir: Path | None,
    trusted: Sequence[str],
    *,
    searching: bool = False,
    recorded: bool = False,
) -> list[Override]:
    """What is typed, and after it what an experiment's own ``sweep`` has for other keys."""
    parsed = _parsed(overrides, config_dir, searching)
    first = [_values(override)[0] for override in parsed]
    typed = {str(override.key_or_group) for override in parsed}
    config = compose(first, config_dir=config_dir, trusted=trusted, recorded=recorded)
    more = [
        f"{key}={_listed(key, values)}"
        for key, values in (config.sweep or {}).items()
        if split_override(str(key))[0] not in typed
    ]
    return _parsed([*overrides, *more], config_dir, searching)


def _parsed(
    overrides: Sequence[str], config_dir: Path | None, searching: bool = False
) -> list[Override]:
    parser = OverridesParser.create(config_loader=config_loader(config_dir))
    parsed: list[Override] = []
    mistakes = []
    for line in overrides:
        try:
            [override] = parser.parse_overrides([line])
        except HydraException:
            mistakes.append(unparsed(line))
            continue
        twice = [one for one in parsed if one.key_or_group == override.key_or_group]
        continuous = override.is_sweep_override() and not override.is_discrete_sweep()
        if continuous and not searching:
            hint = "choose values, as in key=1,2,3, or search with --search optuna"
            mistakes.append(Mistake(line, "is a range to search in, with no values", hint=hint))
        elif not _values(override):
            mistakes.append(Mistake(line, "has no values"))
        elif twice and any(one.is_sweep_override() for one in [override, *twice]):
            mistakes.append(Mistake(line, f"'{override.key_or_group}' has its values already"))
        elif searching and (problem := unsearchable(override)):
            mistakes.append(Mistake(line, problem))
        parsed.append(override)
    if mistakes:
        raise config_error(mistakes)
    return parsed


def _values(override: Override) -> list[str]:
    if not override.is_sweep_override():
        return [str(override.input_line)]
    if not override.is_discrete_sweep():
        values = within(override).tried
    else:
        values = list(override.sweep_string_iterator())
    # Outside of quotes Hydra writes gpu\:1, and reads gpu:1 alike.
    plain = [value if value[:1] in "'\"" else value.replace("\\:", ":") for value in values]
    return [f"{override.get_key_element()}={value}" for value in plain]


def _listed(key: str, values: object) -> str:
    if isinstance(values, list) and values:
        return ",".join("null" if value is None else str(value) for value in values)
    if isinstance(values, str | int | float):
        return str(values)
    raise DlrunError(f"sweep.{key}: expected values such as '1,2,3' or a list, got {values!r}")
