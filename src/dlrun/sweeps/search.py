"""``dlrun sweep --search``: a study chooses the values of each run when a worker is free."""

from __future__ import annotations

import importlib.util
import logging
import math
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun.api.gates import directions
from dlrun.config.schema import Config
from dlrun.config.sweeps.dimensions import Dimensions
from dlrun.config.sweeps.expand import run_values
from dlrun.config.sweeps.space import Space
from dlrun.errors import DlrunError
from dlrun.sweeps.jobs import Job, Plan
from dlrun.sweeps.objectives import (
    check_sampler,
    pareto_entry,
    parse_objectives,
    values_of,
    with_latency,
)
from dlrun.sweeps.plan import compose_job, new_directory
from dlrun.sweeps.pool import record_failure
from dlrun.sweeps.repeated_trial import RepeatedTrial
from dlrun.sweeps.search_options import SQLITE, STUDY, Settings
from dlrun.system.override_text import split_override
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
        config_dir: The user's own options.
        trusted: As for :func:`dlrun.api.train.train`.
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
        config_dir: Path | None = None,
        trusted: Sequence[str] = (),
        recorded: bool = False,
    ) -> None:
        _require()
        self._where: dict[str, Any] = {
            "config_dir": config_dir,
            "trusted": trusted,
            "recorded": recorded,
        }
        overrides = with_latency(settings.objectives, overrides)
        self._dimensions = Dimensions.of(overrides, **self._where)
        self._repeats = self._dimensions.repeats
        self._fixed, self._space = self._dimensions.fixed, self._dimensions.space
        self._names = {split_override(key)[0]: key for key in self._space}
        self.bounds, config = self._compose_bounds()
        self.overrides = [*overrides, *as_override(config)]
        self._fixed = [*self._fixed, *as_override(config)]
        names, task = self._dimensions.keys, config.task
        self._directory = directory or new_directory(runs_dir, config, names)
        self.plan = Plan(
            self._directory, names, list(jobs), task.monitor, task.mode, directions(task)
        )
        typed = settings.objectives
        self.objectives = [] if typed is None else parse_objectives(typed, config)
        check_sampler(settings.sampler, self.objectives)
        space = {name: self._space[key] for name, key in self._names.items()}
        self.settings = self._with_possible_trials(settings, space)
        self._width = len(str(self.runs - 1))
        self._study = self._new_study(space, config)
        self._trials: dict[int, RepeatedTrial] = {}
        self._on_new_job: Callable[[Job], None] = lambda job: None

    def _with_possible_trials(self, settings: Settings, space: Space) -> Settings:
        """The settings, with no more trials than a sampler of every combination has."""
        from dlrun.sweeps.samplers import is_exhaustive, size

        if is_exhaustive(settings.sampler) and self._dimensions.conditional:
            raise DlrunError(
                f"--sampler {settings.sampler} tries every combination, and where() has conditions",
                hint="choose another sampler, or train every combination without --search",
            )
        most = size(settings.sampler, space)
        if most is None or most >= settings.trials:
            return settings
        log.info("%d trials cover all values", most)
        return replace(settings, trials=most)

    def _new_study(self, space: Space, config: Config) -> Study:
        from dlrun.sweeps.study import Study

        return Study(
            space,
            self.settings.sampler,
            self.settings.pruner,
            config.seed,
            self.plan.monitor,
            self.plan.mode,
            # What a pruner judges: the epochs of a run, or the repeats of a trial.
            len(self._repeats) if self._repeated else max(job.epochs for job in self.bounds),
            {
                name: partial(self._holds, key, config)
                for name, key in self._names.items()
                if key in self._dimensions.conditional
            },
            [(objective.name, objective.mode) for objective in self.objectives],
        )

    def open(self) -> None:
        """Create or join the study, unless it is open.

        Raises:
            DlrunError: If it can't be opened, or belongs to another search.
        """
        storage = self.settings.storage or f"{SQLITE}{(self._directory / STUDY).absolute()}"
        self._study.open(storage, self.name)

    def begin(self, on_new_job: Callable[[Job], None]) -> None:
        """Report the results of existing jobs that the study has missed.

        Args:
            on_new_job: Called with each new job.
        """
        self._on_new_job = on_new_job
        for job in self.plan.jobs:
            if self._repeated and job.trial is not None:
                trial = self._trials.setdefault(job.trial, self._new_trial({}))
                trial.take_up(job)
        for number, trial in self._trials.items():
            trial.ended = self._study.has_ended(number)
        for job in self.plan.jobs:
            self.tell(job)

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
            number = len(self.plan.jobs)
            path = self._directory / f"{number:0{self._width}}"
            if (asked := self._study.ask(str(path))) is None:
                break
            trial, values = asked
            if self._repeated:
                self._trials[trial] = self._new_trial(values)
                if (job := self._next_repeat()) is not None:
                    return job
                continue
            if (job := self._start(trial, self._job(number, path, values))) is not None:
                return job
        raise StopIteration

    def __length_hint__(self) -> int:
        if not self._repeated:
            return max(0, self.settings.trials - len(self.plan.jobs))
        left = sum(len(trial.left) for trial in self._trials.values() if not trial.ended)
        return left + len(self._repeats) * max(0, self.settings.trials - len(self._trials))

    def _new_trial(self, values: Mapping[str, Any]) -> RepeatedTrial:
        typed = {self._names[name]: _override_value(value) for name, value in values.items()}
        return RepeatedTrial(self._lines(typed), self._repeats)

    def _next_repeat(self) -> Job | None:
        """The next repeat of a trial that has begun; None if none is left."""
        for number, trial in self._trials.items():
            while trial.left and not trial.ended:
                count = len(self.plan.jobs)
                path = self._directory / f"{count:0{self._width}}"
                repeat = self._compose(count, path, trial.next_lines())
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

    def _compose_bounds(self) -> tuple[list[Job], Any]:
        """Compose runs at the bounds of the space, so that nothing starts if one is wrong."""
        corners = list(self._dimensions.corners())
        first = corners[0]
        lines = [[*self._lines(values), *self._repeats[0]] for values in corners]
        lines += [[*self._lines(first), *repeat] for repeat in self._repeats[1:]]
        bounds = [compose_job(0, typed, (), Path(), **self._where) for typed in lines]
        return [job for job, _ in bounds], bounds[0][1]

    def _job(self, number: int, path: Path, values: Mapping[str, Any]) -> Job:
        typed = {self._names[name]: _override_value(value) for name, value in values.items()}
        return self._compose(number, path, self._lines(typed))

    def _compose(self, number: int, path: Path, typed: list[str]) -> Job:
        try:
            return compose_job(number, typed, self.plan.keys, path, **self._where)[0]
        except DlrunError as error:  # the values are valid, but their combination is not
            values = dict(map(split_override, typed))
            differs = {key: str(values[key]) for key in self.plan.keys if key in values}
            job = Job(number, typed, differs, self.bounds[0].key, path, 0, "failed")
            job.error = error.message
            record_failure(job)
            return job

    def _lines(self, values: Mapping[str, str]) -> list[str]:
        return [*self._fixed, *self._dimensions.lines(values)]

    def _holds(self, key: str, config: Config, drawn: Mapping[str, Any]) -> bool:
        """Whether the condition of a key holds for the values that a trial has drawn."""
        where = self._dimensions.conditional[key]
        values = {self._names[name]: _override_value(value) for name, value in drawn.items()}
        return where.holds(run_values(self._lines(values), where.condition, config))


def _finite(value: float) -> float:
    """NaN for any value that is not finite, as to a study infinity may be the best."""
    return value if math.isfinite(value) else math.nan


def _override_value(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)


def _require() -> None:
    if importlib.util.find_spec("optuna") is None:
        raise DlrunError(
            "--search optuna: optuna is not installed", hint="pip install 'dlrun[optuna]'"
        )
