"""The runs of a search's trials: from the values that a study draws to jobs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from dlrun.config.project import HERE, Project
from dlrun.config.sweeps.dimensions import Dimensions
from dlrun.config.sweeps.expand import run_values
from dlrun.config.sweeps.space import Space
from dlrun.errors import DlrunError
from dlrun.sweeps.jobs import Job
from dlrun.sweeps.plan import compose_job
from dlrun.sweeps.pool import record_failure
from dlrun.system.override_text import split_override
from dlrun.training.initial_weights import as_override


class TrialComposer:
    """Composes the runs of trials.

    Runs at the bounds of the space are composed first, so that nothing starts if one is wrong.

    Args:
        overrides: As typed, including ranges.
        project: The user's own options, and what is trusted.
        recorded: As for :func:`dlrun.config.compose.compose`.

    Attributes:
        dimensions: What is searched.
        bounds: Jobs at the bounds of the space, which are not run.
        config: Of the first of them.

    Raises:
        DlrunError: If an override is wrong, or a run at a bound.
    """

    def __init__(
        self, overrides: Sequence[str], *, project: Project = HERE, recorded: bool = False
    ) -> None:
        self._compose = partial(compose_job, project=project, recorded=recorded)
        self.dimensions = Dimensions.of(overrides, project=project, recorded=recorded)
        self._names = {split_override(key)[0]: key for key in self.dimensions.space}
        self._fixed = self.dimensions.fixed
        corners = [self._lines(values) for values in self.dimensions.corners()]
        first, *others = self.dimensions.repeats
        typed = [[*lines, *first] for lines in corners]
        typed += [[*corners[0], *repeat] for repeat in others]
        bounds = [self._compose(0, lines, (), Path()) for lines in typed]
        self.bounds, self.config = [job for job, _ in bounds], bounds[0][1]
        self._fixed = [*self._fixed, *as_override(self.config)]

    @property
    def space(self) -> Space:
        """The ranges and choices, by the names that a study has for them."""
        return {name: self.dimensions.space[key] for name, key in self._names.items()}

    @property
    def conditions(self) -> dict[str, Callable[[Mapping[str, Any]], bool]]:
        """By name, whether a value is drawn, from those drawn before it; without the others."""
        return {
            name: partial(self._is_drawn, key)
            for name, key in self._names.items()
            if key in self.dimensions.conditional
        }

    def lines(self, drawn: Mapping[str, Any]) -> list[str]:
        """The overrides of a trial, without those of a repeat.

        Args:
            drawn: The values that the study has drawn, by name.
        """
        return self._lines({self._names[name]: _override_value(v) for name, v in drawn.items()})

    def job(self, number: int, typed: Sequence[str], path: Path) -> Job:
        """Compose the job of one run; a failed one if its values do not go together.

        Args:
            number: The number of the job.
            typed: Its overrides.
            path: The run directory.
        """
        keys = self.dimensions.keys
        try:
            return self._compose(number, typed, keys, path)[0]
        except DlrunError as error:  # the values are valid, but their combination is not
            values = dict(map(split_override, typed))
            differs = {key: str(values[key]) for key in keys if key in values}
            job = Job(number, list(typed), differs, self.bounds[0].key, path, 0, "failed")
            job.error = error.message
            record_failure(job)
            return job

    def _lines(self, values: Mapping[str, str]) -> list[str]:
        return [*self._fixed, *self.dimensions.lines(values)]

    def _is_drawn(self, key: str, drawn: Mapping[str, Any]) -> bool:
        where = self.dimensions.conditional[key]
        return where.holds(run_values(self.lines(drawn), where.condition, self.config))


def _override_value(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)
