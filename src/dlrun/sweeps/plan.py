"""The jobs of a sweep: their overrides, directories and process keys."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from dlrun.api.gates import directions
from dlrun.api.needed import CompletedRuns
from dlrun.assembly.require import require
from dlrun.config.compose import compose
from dlrun.config.schema import Config
from dlrun.config.sweeps.compose_many import Composer
from dlrun.config.sweeps.expand import expand
from dlrun.config.sweeps.paired import Paired
from dlrun.errors import DlrunError
from dlrun.report.tables import brief
from dlrun.runs.directory import RECORD, plan_run_path
from dlrun.runs.metric_direction import direction
from dlrun.runs.result import FIELDS
from dlrun.system.files import read_json
from dlrun.system.override_text import split_override
from dlrun.training.initial_weights import as_override, find_initial_run
from dlrun.workers.key import ProcessKey

# Files of a sweep's directory, beside its runs.
LEADERBOARD, WORKERS = "leaderboard.csv", "workers"
# The final states of a job.
ENDED = ("completed", "failed", "interrupted")
# Keys that do not change the compiled program.
VALUE_KEYS = ("seed", "optimizer.learning_rate", "epochs", "name")


@dataclass
class Job:
    """One run of a sweep.

    Args:
        number: From 0, in the order of the sweep.
        overrides: All overrides of the run.
        differs: The values of the overrides that differ between the runs, by key.
        key: The settings of its process.
        path: The run directory.
        epochs: The number of epochs.
        trial: The number of its trial in the study of a search; None without one.
        reused: The directory of an equal run that is taken instead, with ``--needed``.
        dropped: Whether ``--keep`` has removed its checkpoints.
        pinned: Whether it was made again, and is not dropped any more.
        earlier: The result that it had before it was dropped and made again.
    """

    number: int
    overrides: list[str]
    differs: dict[str, str]
    key: ProcessKey
    path: Path
    epochs: int = 0
    state: str = "pending"
    result: dict[str, Any] = field(default_factory=dict)
    error: str | None = None
    logs: dict[str, float] = field(default_factory=dict)
    attempts: int = 0
    trial: int | None = None
    reused: Path | None = None
    dropped: bool = False
    pinned: bool = False
    earlier: dict[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The values that distinguish it from the other runs."""
        short = short_keys(list(self.differs))
        shown = (f"{short[key]}={brief(value)}" for key, value in self.differs.items())
        return "  ".join(shown) or f"run {self.number}"

    @property
    def program(self) -> tuple[str, ...]:
        """The differing overrides that change the compiled program; equal ones share it."""
        return tuple(f"{k}={v}" for k, v in self.differs.items() if k not in VALUE_KEYS)

    @property
    def pruned(self) -> bool:
        """Whether the search's pruner stopped it."""
        return self.result.get("stopped_by") == "pruning"

    def value(self, monitor: str) -> float | None:
        """A metric of its best epoch, such as ``val_loss``."""
        split = "validation" if monitor.startswith("val_") else "train"
        value = self.result.get(split, {}).get(monitor.removeprefix("val_"))
        return None if value is None else float(value)

    def to_dict(self) -> dict[str, Any]:
        """The job's entry in ``sweep.json`` and ``--json``."""
        state = {
            "run_dir": str(self.reused or self.path),
            "overrides": self.overrides,
            "status": self.state,
        }
        error = {"error": self.error} if self.error else {}
        trial = {} if self.trial is None else {"trial": self.trial}
        flags = {"reused": True} if self.reused else {}
        flags |= {name: True for name in ("dropped", "pinned") if getattr(self, name)}
        return {**self.result, **state, "differs": self.differs, **trial, **flags, **error}


@dataclass(frozen=True)
class Plan:
    """A sweep's jobs and how they are ranked.

    Args:
        directory: Of the sweep.
        keys: Those that differ between the runs.
        jobs: In order.
        monitor: The metric that ranks them.
        mode: ``min`` or ``max``.
        metrics: Each metric's better direction, from :func:`dlrun.api.gates.directions`.
    """

    directory: Path
    keys: Sequence[str]
    jobs: list[Job]
    monitor: str
    mode: str
    metrics: Mapping[str, str | None] = field(default_factory=dict)

    def ranked(self) -> list[Job]:
        """The completed and pruned jobs, best monitored metric first."""
        values = {job.number: job.value(self.monitor) for job in self.jobs}
        sign = -1 if self.mode == "max" else 1
        numbers = {n: v for n, v in values.items() if v is not None and math.isfinite(v)}
        ranks = {n: (n not in numbers, sign * numbers.get(n, 0)) for n in values}
        done = [job for job in self.jobs if job.state == "completed"]
        return sorted(done, key=lambda job: ranks[job.number])


def short_keys(keys: Sequence[str]) -> dict[str, str]:
    """The last part of each key, if unique, else the whole key."""
    parts = [key.rpartition(".")[2] for key in keys]
    return {
        key: part if parts.count(part) == 1 else key for key, part in zip(keys, parts, strict=True)
    }


def plan(
    overrides: Sequence[str],
    *,
    runs_dir: Path | None = None,
    config_dir: Path | None = None,
    trusted: Sequence[str] = (),
    needed: bool = False,
    listed: Paired | None = None,
) -> Plan:
    """Compose every run, so that nothing starts if one of them is wrong.

    Args:
        overrides: In Hydra's grammar, which allows several values.
        runs_dir: The sweep is written to its ``sweeps/``; None for ``runs_dir`` of the config.
        config_dir: The user's own options.
        trusted: As for :func:`dlrun.api.train.train`.
        needed: Take the results of equal runs that have completed.
        listed: The overrides of each run from a file.

    Raises:
        DlrunError: With the mistakes of the first run that has any.
    """
    where: dict[str, Any] = {"config_dir": config_dir, "trusted": trusted}
    keys, runs = expand(overrides, listed=listed, **where)
    configs = list(map(Composer(partial(compose_run, **where)), runs))
    first = configs[0]
    directory = new_directory(runs_dir, first, keys)
    jobs = []
    for number, (typed, config) in enumerate(zip(runs, configs, strict=True)):
        typed.extend(as_override(config))
        path, differs = directory / _folder(number, len(runs)), _differs(typed, keys)
        jobs.append(Job(number, typed, differs, ProcessKey.of(config), path, config.planned_epochs))
    if needed:
        _reuse(jobs, configs, directory.parent.parent, config_dir)
    metrics = directions(first.task)
    return Plan(directory, keys, jobs, first.task.monitor, first.task.mode, metrics)


def _reuse(
    jobs: Sequence[Job], configs: Sequence[Config], folder: Path, config_dir: Path | None
) -> None:
    """Take the results of equal runs in a folder."""
    done = CompletedRuns(folder, config_dir)
    for job, config in zip(jobs, configs, strict=True):
        if (found := done.equal(config)) is not None:
            job.state, job.result, job.reused = "completed", found.to_dict(), Path(found.run_dir)


def new_directory(runs_dir: Path | None, config: Config, keys: Sequence[str]) -> Path:
    """Choose the directory of a new sweep; it is not created.

    Args:
        runs_dir: The directory lies in its ``sweeps/``; None for ``runs_dir`` of the config.
        config: The config of a run.
        keys: The keys that differ between the runs.

    Raises:
        DlrunError: If ``runs_dir`` differs between the runs.
    """
    if "runs_dir" in keys:
        raise DlrunError("runs_dir: expected one value, as a sweep lies in one directory")
    return plan_run_path(runs_dir or Path(config.runs_dir), "sweeps")


def compose_job(
    number: int, typed: Sequence[str], keys: Sequence[str], path: Path, **where: Any
) -> tuple[Job, Config]:
    """Compose the job and the config of one run.

    Args:
        number: The number of the job.
        typed: Its overrides.
        keys: The keys that differ between the runs.
        path: The run directory.
        **where: As for :func:`compose_run`.

    Raises:
        DlrunError: As :func:`compose_run`.
    """
    config = compose_run(typed, **where)
    job = Job(
        number,
        list(typed),
        _differs(typed, keys),
        ProcessKey.of(config),
        path,
        config.planned_epochs,
    )
    return job, config


def compose_run(
    overrides: Sequence[str],
    *,
    config_dir: Path | None = None,
    trusted: Sequence[str] = (),
    recorded: bool = False,
) -> Config:
    """Compose and check the config of one run.

    Args:
        overrides: The run's overrides.
        config_dir: The user's own options.
        trusted: As for :func:`dlrun.api.train.train`.
        recorded: As for :func:`dlrun.config.compose.compose`.

    Raises:
        DlrunError: If it is wrong, or its backend, its feed or the run of ``init_from`` is missing.
    """
    config = compose(overrides, config_dir=config_dir, trusted=trusted, recorded=recorded)
    require(config, training=True)
    if config.init_from is not None:
        find_initial_run(config)
    return config


def completed(path: Path) -> dict[str, Any] | None:
    """The result of a completed run; None if it has not completed."""
    try:
        record = read_json(path / RECORD)
    except (OSError, ValueError):
        return None
    done = isinstance(record, dict) and record.get("status") == "completed"
    return {key: record[key] for key in FIELDS if key in record} if done else None


def _folder(number: int, runs: int) -> str:
    return f"{number:0{len(str(runs - 1))}}"


def _differs(typed: Sequence[str], keys: Sequence[str]) -> dict[str, str]:
    values = {key: value or "" for key, value in map(split_override, typed)}
    return {key: values[key] for key in keys if key in values}


def read_plan(record: Mapping[str, Any], directory: Path) -> Plan:
    """The plan of an earlier sweep, from its ``sweep.json``.

    Raises:
        DlrunError: If it is not the record of a sweep.
    """
    try:
        jobs = [
            Job(
                int(run["number"]),
                [str(line) for line in run["overrides"]],
                {str(k): str(v) for k, v in run["differs"].items()},
                ProcessKey(*run["key"]),
                directory / _name(run),
                int(run["epochs_planned"]),
                trial=run.get("trial"),
                reused=Path(run["reused"]) if run.get("reused") else None,
                dropped=run.get("dropped") is True,
                pinned=run.get("pinned") is True,
            )
            for run in record["runs"]
        ]
        keys = [str(key) for key in record["keys"]]
        tested: Mapping[str, Any] = next(
            (run["test"] for run in record["runs"] if run.get("test")), {}
        )
        metrics = {name: direction(name, {}) for name in tested}
        monitor, mode = str(record["monitor"]), str(record["mode"])
        return Plan(directory, keys, jobs, monitor, mode, metrics)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DlrunError(f"{directory} is not the directory of a sweep: {error!r}") from error


def _name(run: Mapping[str, Any]) -> str:
    """The name of a run's directory: its number, padded as when the sweep started."""
    name = str(run["run_dir"]).rpartition("/")[2]
    if not name.isdecimal():
        raise ValueError(f"run_dir {run['run_dir']}")
    return name
