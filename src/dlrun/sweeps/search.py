"""``dlrun sweep --search``: a study chooses the values of each run when a worker is free."""

from __future__ import annotations

import logging
import math
import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun.api.gates import directions
from dlrun.config.project import HERE, Project
from dlrun.errors import DlrunError
from dlrun.sweeps.jobs import Job, Plan
from dlrun.sweeps.objectives import (
    check_sampler,
    pareto_entry,
    parse_objectives,
    values_of,
    with_latency,
)
from dlrun.sweeps.plan import new_directory
from dlrun.sweeps.repeated_trial import RepeatedTrial
from dlrun.sweeps.search_options import SQLITE, STUDY, Settings
from dlrun.sweeps.trial_composer import TrialComposer
from dlrun.system.packages import require_package
from dlrun.training.initial_weights import as_override

if TYPE_CHECKING:
    from dlrun.sweeps.study import Study

log = logging.getLogger("dlrun")


class Search:
    """An iterator of a sweep's jobs: each depends on the results of the jobs before.

    Args:
        settings: The search's settings.
        overrides: As typed, including ranges.
        directory: The sweep's directory; None for a new one.
        jobs: The jobs that exist already.
        runs_dir: Where the new one lies, in ``sweeps/``; None for ``runs_dir`` of the config.
        project: The user's own options, and what is trusted.
        recorded: Whether the overrides come from a record; False if the user typed them.

    Raises:
        DlrunError: If Optuna is not installed, or an override or setting is wrong.
    """

    def __init__(
        self,
        settings: Settings,
        overrides: Sequence[str],
        directory: Path | None,
        jobs: Sequence[Job] = (),
        *,
        runs_dir: Path | None = None,
        project: Project = HERE,
        recorded: bool = False,
    ) -> None:
        require_package("optuna", "--search optuna", "optuna")
        overrides = with_latency(settings.objectives, overrides)
        self._composer = TrialComposer(overrides, project=project, recorded=recorded)
        self._repeats, config = self._composer.dimensions.repeats, self._composer.config
        self.overrides = [*overrides, *as_override(config)]
        keys, task = self._composer.dimensions.keys, config.task
        self._directory = directory or new_directory(runs_dir, config, keys)
        self.plan = Plan(
            self._directory, keys, list(jobs), task.monitor, task.mode, directions(task)
        )
        typed = settings.objectives
        self.objectives = [] if typed is None else parse_objectives(typed, config)
        check_sampler(settings.sampler, self.objectives)
        self.settings = self._with_possible_trials(settings)
        self._width = len(str(self.runs - 1))
        self._study = self._new_study(config.seed)
        self._trials: dict[int, RepeatedTrial] = {}
        self._on_new_job: Callable[[Job], None] = lambda job: None

    def _with_possible_trials(self, settings: Settings) -> Settings:
        """The settings, with no more trials than a sampler of every combination has."""
        from dlrun.sweeps.samplers import is_exhaustive, size

        if is_exhaustive(settings.sampler) and self._composer.conditions:
            raise DlrunError(
                f"--sampler {settings.sampler} tries every combination, and where() has conditions",
                hint="choose another sampler, or train every combination without --search",
            )
        most = size(settings.sampler, self._composer.space)
        if most is None or most >= settings.trials:
            return settings
        log.info("%d trials cover all values", most)
        return replace(settings, trials=most)

    def _new_study(self, seed: int) -> Study:
        from dlrun.sweeps.study import Study

        return Study(
            self._composer.space,
            self.settings.sampler,
            self.settings.pruner,
            seed,
            # What a pruner judges: the epochs of a run, or the repeats of a trial.
            len(self._repeats) if self._repeated else max(job.epochs for job in self.bounds),
            [(objective.name, objective.mode) for objective in self.objectives]
            or [(self.plan.monitor, self.plan.mode)],
            self._composer.conditions,
        )

    def open(self) -> None:
        """Create or join the study, unless it is open.

        Raises:
            DlrunError: If it can't be opened, belongs to another search, or lacks a trial.
        """
        storage = self.settings.storage or f"{SQLITE}{(self._directory / STUDY).absolute()}"
        trials = [job.trial for job in self.plan.jobs if job.trial is not None]
        self._study.open(storage, self.name, trials)

    def begin(self, on_new_job: Callable[[Job], None]) -> None:
        """Report the results of existing jobs that the study has missed.

        Args:
            on_new_job: Called with each new job.
        """
        self._on_new_job = on_new_job
        for job in self.plan.jobs:
            if self._repeated and job.trial is not None:
                new = RepeatedTrial(self._composer.lines({}), self._repeats)
                trial = self._trials.setdefault(job.trial, new)
                trial.take_up(job)
        for number, trial in self._trials.items():
            trial.ended = self._study.has_ended(number)
        for job in self.plan.jobs:
            self.tell(job)

    @property
    def bounds(self) -> list[Job]:
        """Jobs at the bounds of the space, which are not run."""
        return self._composer.bounds

    @property
    def runs(self) -> int:
        """The number of runs, of which pruning may leave some out."""
        return self.settings.trials * len(self._repeats)

    @property
    def repeats(self) -> int:
        """How often each trial is trained."""
        return len(self._repeats)

    @property
    def _repeated(self) -> bool:
        return len(self._repeats) > 1

    @property
    def name(self) -> str:
        """The name of the study."""
        return self.settings.study or self._directory.name

    def __iter__(self) -> Iterator[Job]:
        return self

    def __next__(self) -> Job:
        if (job := self._next_repeat()) is not None:
            return job
        while operator.length_hint(self):
            if (asked := self._study.ask(str(self._next_path))) is None:
                break
            trial, values = asked
            lines = self._composer.lines(values)
            if self._repeated:
                self._trials[trial] = RepeatedTrial(lines, self._repeats)
                if (job := self._next_repeat()) is not None:
                    return job
            elif (job := self._start(trial, self._next_run(lines))) is not None:
                return job
        raise StopIteration

    def __length_hint__(self) -> int:
        if not self._repeated:
            return max(0, self.settings.trials - len(self.plan.jobs))
        left = sum(len(trial.left) for trial in self._trials.values() if not trial.ended)
        return left + len(self._repeats) * max(0, self.settings.trials - len(self._trials))

    @property
    def _next_path(self) -> Path:
        return self._directory / f"{len(self.plan.jobs):0{self._width}}"

    def _next_run(self, lines: Sequence[str]) -> Job:
        return self._composer.job(len(self.plan.jobs), lines, self._next_path)

    def _next_repeat(self) -> Job | None:
        """The next repeat of a trial that has begun; None if none is left."""
        for number, trial in self._trials.items():
            while trial.left and not trial.ended:
                repeat = self._next_run(trial.next_lines())
                trial.jobs.append(repeat)
                if (job := self._start(number, repeat)) is not None:
                    return job
        return None

    def _start(self, trial: int, job: Job) -> Job | None:
        """Add a job; returns it if it is to be run, None if its config is wrong."""
        job.trial = trial
        self.plan.jobs.append(job)
        self._on_new_job(job)
        if job.state == "pending":
            return job
        self.tell(job)
        return None

    def should_prune(self, job: Job) -> bool:
        """Whether to stop a job after the epoch of its logs."""
        value = job.logs.get(self.plan.monitor)
        if value is None or job.trial is None or self._repeated or self.objectives:
            return False
        epoch, value = int(job.logs["epoch"]), _finite(value)
        # A job in its last epoch completes, however bad.
        return self._study.should_prune(job.trial, epoch, value) and epoch < job.epochs

    def tell(self, job: Job) -> None:
        """Report a job's result to the study, if it has one; interrupted jobs will be resumed."""
        if job.state not in ("completed", "failed") or job.trial is None:
            return
        if self._repeated:
            self._tell_repeat(job.trial)
        else:
            # Resumed with other settings, it tells nothing of those that the study has chosen.
            learns = job.state == "completed" and not job.resumed
            values = self._values([job]) if learns else None
            self._study.tell(job.trial, values, pruned=job.pruned)

    def _values(self, jobs: Sequence[Job]) -> list[float] | None:
        """What the study learns of a trial: its objectives, or the monitored metric."""
        if self.objectives:
            return values_of(jobs, self.objectives)
        value = jobs[0].value(self.plan.monitor)
        return [value] if value is not None and math.isfinite(value) else None

    def _tell_repeat(self, number: int) -> None:
        """Report a trial's mean over its repeats so far: at the end, or to be pruned."""
        trial = self._trials[number]
        if trial.ended:
            return
        mean, done = trial.mean(self.plan.monitor)
        if mean is None:
            trial.ended = trial.failed or not trial.count
            if trial.ended:
                self._study.tell(number, None, pruned=False)
        elif done == trial.count:
            trial.ended = True
            values = values_of(trial.completed, self.objectives) if self.objectives else [mean]
            self._study.tell(number, values, pruned=False)
        elif not self.objectives and self._study.should_prune(number, done, mean):
            trial.ended = True
            log.info("trial %d is pruned after %d of its repeats", number, done)
            self._study.tell(number, [mean], pruned=True)

    def settings_dict(self) -> dict[str, Any]:
        """The search's entry in ``sweep.json``."""
        settings = {**asdict(self.settings), "study": self.name}
        if not self.objectives:
            settings.pop("objectives")
        return settings

    def pareto(self) -> dict[str, Any]:
        """The ``pareto`` entry of the result; empty with one objective."""
        if not self.objectives:
            return {}
        return {"pareto": pareto_entry(self.plan.jobs, self.objectives, self.repeats)}

    def front(self) -> set[int]:
        """The numbers of the runs on the Pareto front so far."""
        entry = pareto_entry(self.plan.jobs, self.objectives, self.repeats)
        return {number for one in entry["front"] for number in one["runs"]}

    def to_dict(self, *, study: bool) -> dict[str, Any]:
        """The search's entry in ``--json``; with ``study``, its best trial, else None."""
        if self.objectives:
            return {**self.settings_dict(), "front": self._study.front() if study else None}
        return {**self.settings_dict(), "best": self._study.best() if study else None}


def _finite(value: float) -> float:
    """NaN for any value that is not finite, as to a study infinity may be the best."""
    return value if math.isfinite(value) else math.nan
