"""What a search draws from: ranges and choices, pairs, values under a condition; and repeats."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dlrun.config.grammar import config_loader
from dlrun.config.mistake import Mistake
from dlrun.config.project import HERE, Project
from dlrun.config.ranges import parse_line
from dlrun.config.sweeps.expand import search_space
from dlrun.config.sweeps.pairs import Where, take_apart
from dlrun.config.sweeps.repeats import split_repeats
from dlrun.config.sweeps.space import Choice, Space, range_problem, search_values
from dlrun.errors import DlrunError
from dlrun.system.override_text import split_override


@dataclass(frozen=True)
class Dimensions:
    """The dimensions of a search.

    Args:
        fixed: The overrides that all runs share.
        space: The values by key, as typed with ``+``. A pair has the rows as choices.
        repeats: The overrides of each repeat; ``[[]]`` without.
        rows: The overrides of each row of a pair, by its name and its text in ``space``.
        conditional: The keys that are drawn under a condition.
    """

    fixed: list[str]
    space: Space
    repeats: list[list[str]]
    rows: Mapping[str, Mapping[str, list[str]]]
    conditional: Mapping[str, Where]

    @classmethod
    def of(
        cls, overrides: Sequence[str], *, project: Project = HERE, recorded: bool = False
    ) -> Dimensions:
        """Read the dimensions of a search.

        Args:
            overrides: As typed.
            project: The user's own options, and what is trusted.
            recorded: As for :func:`dlrun.config.compose.compose`.

        Raises:
            DlrunError: If an override can't be parsed, or nothing is searched.
        """
        plain, paired, conditional = take_apart(overrides, config_loader(project.config_dir))
        if conditional or paired:  # all of these are searched, so that seeds repeat
            marks = [each.name for each in paired] + [each.key for each in conditional]
            rest, repeats = split_repeats([*plain, f"{marks[0]}=zip()"])
            rest = rest[:-1]
        else:
            rest, repeats = split_repeats(plain)
        first = [line for each in paired for line in each.rows[0]]
        also = [*first, *repeats[0]]
        fixed, space = search_space(rest, project=project, recorded=recorded, also=also)
        for each in paired:
            space[each.name] = Choice(tuple(dict.fromkeys(map(" ".join, each.rows))))
        for condition in conditional:
            space[condition.key] = _values(condition)
        if not space:
            raise DlrunError("nothing to search: no key has several values but those that repeat")
        rows = {each.name: {" ".join(row): row for row in each.rows} for each in paired}
        return cls(fixed, space, repeats, rows, {each.key: each for each in conditional})

    @property
    def keys(self) -> list[str]:
        """The keys that differ between the runs."""
        keys: list[str] = []
        for key in self.space:
            rows = next(iter(self.rows.get(key, {}).values()), None)
            keys += [split_override(line)[0] for line in rows or [key]]
        keys += [split_override(line)[0] for line in self.repeats[0]]
        return list(dict.fromkeys(keys))

    def lines(self, values: Mapping[str, str]) -> list[str]:
        """The overrides of drawn values."""
        found: list[str] = []
        for key, value in values.items():
            found += self.rows[key][value] if key in self.rows else [f"{key}={value}"]
        return found

    def corners(self) -> Iterator[dict[str, str]]:
        """Values whose configs are checked before anything starts: each bound and each choice."""
        drawn = {key: of for key, of in self.space.items() if key not in self.conditional}
        first = {key: within.values_to_check[0] for key, within in drawn.items()}
        yield first
        for key, within in drawn.items():
            yield from ({**first, key: value} for value in within.values_to_check[1:])
        for key, where in self.conditional.items():
            met = {name: accepted[0] for name, accepted in where.condition.items()}
            for value in self.space[key].values_to_check:
                yield {**first, **{k: v for k, v in met.items() if k in drawn}, key: value}


def _values(where: Where) -> Any:
    override = parse_line(where.line)
    if isinstance(override, Mistake):
        raise DlrunError(f"{where.line}: can't be parsed")
    if problem := range_problem(override):
        raise DlrunError(f"{where.line}: {problem}")
    if not override.is_sweep_override():
        return Choice((str(split_override(where.line)[1]),))
    return search_values(override)
