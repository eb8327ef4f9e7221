"""From overrides with several values to the overrides of each run."""

import itertools
from collections.abc import Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from dlrun.config.compose import compose
from dlrun.config.explain import Mistake, config_error, unparsed
from dlrun.config.grammar import config_loader
from dlrun.errors import DlrunError


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
    [first, *_] = itertools.product(*(_values(override)[:1] for override in parsed))
    typed = {override.key_or_group for override in parsed}
    own = compose(first, config_dir=config_dir, trusted=trusted).sweep or {}
    more = [f"{key}={_listed(values)}" for key, values in own.items() if key not in typed]
    parsed = _parsed([*overrides, *more], config_dir)
    swept = [str(override.key_or_group) for override in parsed if override.is_sweep_override()]
    return swept, [list(run) for run in itertools.product(*map(_values, parsed))]


def _parsed(overrides: Sequence[str], config_dir: Path | None) -> list[Override]:
    parser = OverridesParser.create(config_loader=config_loader(config_dir))
    parsed, mistakes = [], []
    for line in overrides:
        try:
            override = parser.parse_override(line)
        except HydraException:
            mistakes.append(unparsed(line))
            continue
        if override.is_sweep_override() and not override.is_discrete_sweep():
            hint = "choose values, as in key=1,2,3, or search with --search optuna"
            mistakes.append(Mistake(line, "is a range to search in, with no values", hint=hint))
        elif not _values(override):
            mistakes.append(Mistake(line, "has no values"))
        parsed.append(override)
    if mistakes:
        raise config_error(mistakes)
    return parsed


def _values(override: Override) -> list[str]:
    if not override.is_sweep_override():
        return [str(override.input_line)]
    if not override.is_discrete_sweep():
        return []
    return [f"{override.get_key_element()}={v}" for v in override.sweep_string_iterator()]


def _listed(values: object) -> str:
    if isinstance(values, list):
        return ",".join(map(str, values))
    if isinstance(values, str | int | float):
        return str(values)
    raise DlrunError(f"sweep: expected values such as '1,2,3' or a list, got {values!r}")
