"""A trial of a search that is trained several times, over seeds or folds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

from dlrun.sweeps.jobs import Job


class RepeatedTrial:
    """The repeats of one trial.

    Args:
        lines: The overrides that its runs share.
        repeats: The overrides of each repeat.
    """

    def __init__(self, lines: Sequence[str], repeats: Sequence[Sequence[str]]) -> None:
        self._lines = list(lines)
        self.left = [list(repeat) for repeat in repeats]
        self._count = len(repeats)
        self._repeated = {line for repeat in repeats for line in repeat}
        self._has_bad_value = False
        self.jobs: list[Job] = []
        self.ended = False

    @property
    def failed(self) -> bool:
        """Whether a repeat has failed, or has a value that is not finite."""
        return any(job.state == "failed" for job in self.jobs) or self._has_bad_value

    @property
    def count(self) -> int:
        """The number of repeats in its mean, when all have ended.

        A run that was resumed with other settings has the values of another trial.
        """
        return self._count - sum(bool(job.resumed) for job in self.jobs)

    @property
    def completed(self) -> list[Job]:
        """The runs in its mean so far."""
        return [job for job in self.jobs if job.state == "completed" and not job.resumed]

    def next_lines(self) -> list[str]:
        """The overrides of the next repeat, which is taken from those that are left."""
        return [*self._lines, *self.left.pop(0)]

    def take_up(self, job: Job) -> None:
        """Add a run of an earlier process."""
        self.jobs.append(job)
        self.left = [repeat for repeat in self.left if not set(repeat) <= set(job.overrides)]
        self._lines = [line for line in job.overrides if line not in self._repeated]

    def mean(self, monitor: str) -> tuple[float | None, int]:
        """The mean of the metric over the repeats that have completed, and how many have.

        None if a repeat has failed or none has completed.
        """
        done = [job.value(monitor) for job in self.completed]
        values = [value for value in done if value is not None and math.isfinite(value)]
        self._has_bad_value = len(values) < len(done)
        if self.failed or not values:
            return None, len(done)
        return fmean(values), len(values)
