"""``dlrun sweep --search``: each run's values are asked for when there is room for it."""

from __future__ import annotations

import importlib.util
import logging
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dlrun.config.sweeps.expand import search_space
from dlrun.errors import DlrunError
from dlrun.sweeps.plan import Job, Plan, job_of
from dlrun.sweeps.pool import record_failure
from dlrun.training.initial_weights import as_override

log = logging.getLogger("dlrun")

SQLITE = "sqlite:///"
STUDY = "study.db"  # in the sweep's directory, where no other is asked for


@dataclass(frozen=True)
class Settings:
    """What is asked of a search, and kept in ``sweep.json``.

    Args:
        trials: How many runs.
        sampler: By the name that it has in ``optuna.samplers``.
        pruner: By the name that it has in ``optuna.pruners``.
        study: Its name; None for that of the sweep's directory.
        storage: As ``sqlite:///`` and a path; None for a file in the sweep's directory.
    """

    trials: int = 20
    sampler: str = "tpe"
    pruner: str = "median"
    study: str | None = None
    storage: str | None = None

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Settings:
        """From the options that were typed.

        Raises:
            DlrunError: If the storage is no SQLite file in a directory that is there.
        """
        given = {key: value for key, value in options.items() if value is not None}
        if storage := given.get("storage"):
            path = Path(storage.removeprefix(SQLITE)).absolute()
            if not storage.startswith(f"{SQLITE}") or ":memory:" in storage or path.is_dir():
                raise DlrunError(
                    f"--storage {storage}: expected {SQLITE} and the path of a file",
                    hint=f"--storage {SQLITE}{STUDY}",
                )
            if not path.parent.is_dir():
                raise DlrunError(f"--storage {storage}: there is no directory {path.parent}")
            given["storage"] = f"{SQLITE}{path}"
        return cls(**given)


NAMES = tuple(Settings.__dataclass_fields__)


class Search:
    """A sweep's jobs, one at a time: what to try next depends on what has been.

    Args:
        settings: What is asked of it.
        overrides: As typed, ranges included.
        directory: Of the sweep.
        jobs: Those that it has already.
        config_dir: The user's own options.
        trusted: As for :func:`dlrun.api.train.train`.
        recorded: Whether a record holds the overrides, rather than the user having typed them.

    Raises:
        DlrunError: If Optuna is not installed, or something typed is wrong; nothing is started.
    """

    def __init__(
        self,
        settings: Settings,
        overrides: Sequence[str],
        directory: Path,
        jobs: Sequence[Job] = (),
        *,
        config_dir: Path | None = None,
        trusted: Sequence[str] = (),
        recorded: bool = False,
    ) -> None:
        _require()
        from dlrun.sweeps.samplers import size
        from dlrun.sweeps.study import Study

        self._directory = directory
        self._where: dict[str, Any] = {
            "config_dir": config_dir,
            "trusted": trusted,
            "recorded": recorded,
        }
        self._fixed, self._space = search_space(overrides, **self._where)
        self._names = {key.lstrip("+"): key for key in self._space}
        self.tried, config = self._try()
        self.overrides = [*overrides, *as_override(config)]
        self._fixed = [*self._fixed, *as_override(config)]
        names, task = list(self._names), config.task
        self.plan = Plan(directory, names, list(jobs), task.monitor, task.mode)
        named = {name: self._space[key] for name, key in self._names.items()}
        most = size(settings.sampler, named)
        if most is not None and most < settings.trials:
            log.info("%d trials, which are all that there are", most)
            settings = Settings(**{**asdict(settings), "trials": most})
        self.settings = settings
        self._width = len(str(settings.trials - 1))
        self._study = Study(
            named,
            settings.sampler,
            settings.pruner,
            config.seed,
            self.plan.monitor,
            self.plan.mode,
        )
        self._asked: Callable[[Job], None] = lambda job: None

    def open(self) -> None:
        """Create the study, or join it; once.

        Raises:
            DlrunError: If it can't be, or is one of something else.
        """
        storage = self.settings.storage or f"{SQLITE}{(self._directory / STUDY).absolute()}"
        self._study.open(storage, self.name)

    def begin(self, asked: Callable[[Job], None]) -> None:
        """Tell the study what it has missed of the jobs that there are.

        Args:
            asked: Called with each job that there is from now on.
        """
        self._asked = asked
        for job in self.plan.jobs:
            self.tell(job)

    @property
    def name(self) -> str:
        """The study's."""
        return self.settings.study or self._directory.name

    def __iter__(self) -> Iterator[Job]:
        return self

    def __next__(self) -> Job:
        while operator.length_hint(self) and not self._study.exhausted:
            number = len(self.plan.jobs)
            path = self._directory / f"{number:0{self._width}}"
            trial, values = self._study.ask(str(path))
            job = self._job(number, path, values)
            job.trial = trial
            self.plan.jobs.append(job)
            self._asked(job)
            if job.state == "pending":
                return job
            self.tell(job)
        raise StopIteration

    def __length_hint__(self) -> int:
        return max(0, self.settings.trials - len(self.plan.jobs))

    def pruned(self, job: Job) -> bool:
        """Whether a job had better end after the epoch that it tells of."""
        value = job.logs.get(self.plan.monitor)
        if value is None or job.trial is None:
            return False
        epoch = int(job.logs["epoch"])
        # One that has come to its last epoch is complete, however good.
        return self._study.hopeless(job.trial, epoch, value) and epoch < job.epochs

    def tell(self, job: Job) -> None:
        """Tell the study what came of a job, if it has ended; one that was interrupted goes on."""
        if job.state in ("completed", "failed") and job.trial is not None:
            value = job.value(self.plan.monitor) if job.state == "completed" else None
            self._study.tell(job.trial, value, pruned=job.pruned)

    def recorded(self) -> dict[str, Any]:
        """What ``sweep.json`` keeps of it."""
        return {**asdict(self.settings), "study": self.name}

    def told(self, *, opened: bool) -> dict[str, Any]:
        """What ``--json`` tells of it: the best trial of the whole study, once that is open."""
        return {**self.recorded(), "best": self._study.best() if opened else None}

    def _try(self) -> tuple[list[Job], Any]:
        """Compose what lies at the ends, so that nothing starts where one of them is wrong."""
        first = {key: within.tried[0] for key, within in self._space.items()}
        others = [
            {**first, key: value}
            for key, within in self._space.items()
            for value in within.tried[1:]
        ]
        composed = [
            job_of(0, self._lines(values), (), self._directory, **self._where)
            for values in (first, *others)
        ]
        return [job for job, _ in composed], composed[0][1]

    def _job(self, number: int, path: Path, values: Mapping[str, Any]) -> Job:
        typed = self._lines({self._names[name]: _typed(v) for name, v in values.items()})
        try:
            return job_of(number, typed, self.plan.keys, path, **self._where)[0]
        except DlrunError as error:  # values that each go, and do not go together
            differs = {name: _typed(value) for name, value in values.items()}
            job = Job(number, typed, differs, self.tried[0].key, path, 0, "failed")
            job.error = error.message
            record_failure(job)
            return job

    def _lines(self, values: Mapping[str, str]) -> list[str]:
        return [*self._fixed, *(f"{key}={value}" for key, value in values.items())]


def _typed(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)


def _require() -> None:
    if importlib.util.find_spec("optuna") is None:
        raise DlrunError(
            "--search optuna: optuna is not installed", hint="pip install 'dlrun[optuna]'"
        )
