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
    typed = {str(override.key_or_group) for override in parsed}
    keys: dict[str, None] = {}
    runs: list[list[str]] = []
    for experiment in _experiments(parsed):  # each may have a sweep of its own
        lines = [experiment.get(index, line) for index, line in enumerate(overrides)]
        one = _parsed(lines, config_dir)
        [first, *_] = itertools.product(*(_values(override)[:1] for override in one))
        own = compose(first, config_dir=config_dir, trusted=trusted).sweep or {}
        more = [
            f"{key}={_listed(key, values)}"
            for key, values in own.items()
            if str(key).lstrip("+~") not in typed
        ]
        one = _parsed([*lines, *more], config_dir)
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


def _parsed(overrides: Sequence[str], config_dir: Path | None) -> list[Override]:
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
        if override.is_sweep_override() and not override.is_discrete_sweep():
            hint = "choose values, as in key=1,2,3"
            mistakes.append(Mistake(line, "is a range to search in, with no values", hint=hint))
        elif not _values(override):
            mistakes.append(Mistake(line, "has no values"))
        elif twice and any(one.is_sweep_override() for one in [override, *twice]):
            mistakes.append(Mistake(line, f"'{override.key_or_group}' has its values already"))
        parsed.append(override)
    if mistakes:
        raise config_error(mistakes)
    return parsed


def _values(override: Override) -> list[str]:
    if not override.is_sweep_override():
        return [str(override.input_line)]
    if not override.is_discrete_sweep():
        return []
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
