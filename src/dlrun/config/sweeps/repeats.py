"""Keys that repeat a run rather than change it: ``repeats=5``, ``seed=range(5)``, ``data.fold``."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from hydra.core.override_parser.types import Override

from dlrun.config.compose import compose
from dlrun.config.project import HERE, Project
from dlrun.config.ranges import MAX_VALUES, parse_line
from dlrun.config.sweeps.space import value_overrides
from dlrun.errors import DlrunError
from dlrun.system.override_text import split_override

SEED, FOLD = "seed", "data.fold"
REPEATS = (SEED, FOLD)
SHORTHAND = "repeats"  # of seeds


def write_out(overrides: Sequence[str], *, project: Project = HERE) -> list[str]:
    """Replace ``repeats=5`` by so many seeds, from that of the config on.

    Args:
        overrides: As typed after ``dlrun sweep``.
        project: The user's own options, and what is trusted.

    Raises:
        DlrunError: If it is not a number from 2, or seeds are listed too.
    """
    typed = [line for line in overrides if split_override(line)[0] == SHORTHAND]
    if not typed:
        return list(overrides)
    value = str(split_override(typed[-1])[1])
    if not value.isdecimal() or not 2 <= int(value) <= MAX_VALUES or len(typed) > 1:
        raise DlrunError(f"{typed[-1]}: expected one number, from 2", hint="repeats=5")
    rest = [line for line in overrides if line not in typed]
    parsed = [parse_line(line) for line in rest]
    seeds = [each for each in parsed if isinstance(each, Override) and each.key_or_group == SEED]
    if any(each.is_sweep_override() for each in seeds):
        raise DlrunError(f"{typed[-1]}: '{SEED}' has several values already", hint="leave out one")
    fixed = [
        str(each.input_line)
        for each in parsed
        if isinstance(each, Override) and not each.is_sweep_override()
    ]
    first = compose(fixed, project=project, find=False).seed
    others = [line for line in rest if split_override(line)[0] != SEED]
    return [*others, f"{SEED}=range({first},{first + int(value)})"]


def split_repeats(overrides: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """The overrides of a search without those that repeat a run, and the overrides of each repeat.

    A list of seeds or folds repeats every trial; an interval of seeds is searched like any other,
    as are seeds if nothing else has several values.

    Args:
        overrides: As typed.

    Returns:
        ``[[]]`` for the repeats if there are none.
    """
    parsed = [parse_line(line) for line in overrides]
    repeated = [
        each
        for each in parsed
        if isinstance(each, Override)
        and each.key_or_group in REPEATS
        and each.is_sweep_override()
        and each.is_discrete_sweep()
    ]
    lines = [str(each.input_line) for each in repeated]
    rest = [line for line in overrides if line not in lines]
    searched = [
        each
        for each in parsed  # Hydra can't parse zip and where
        if not isinstance(each, Override) or (each.is_sweep_override() and each not in repeated)
    ]
    if not repeated or not searched:
        return list(overrides), [[]]
    values = [dict.fromkeys(value_overrides(each)) for each in repeated]
    return rest, [list(each) for each in itertools.product(*values)]
