"""What a sweep runs: its jobs, and what a process must be started with for each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dlrun.assembly.require import require
from dlrun.config.compose import compose
from dlrun.config.schema import Config
from dlrun.config.sweeps.expand import expand
from dlrun.errors import DlrunError
from dlrun.report.tables import brief
from dlrun.runs.directory import RECORD, plan_run_path
from dlrun.runs.result import FIELDS
from dlrun.system.files import read_json
from dlrun.training.initial_weights import as_override, find_initial_run
from dlrun.workers.key import ProcessKey

# What a sweep's directory holds beside its runs.
SWEEP_FILE, LEADERBOARD, WORKERS = "sweep.json", "leaderboard.csv", "workers"
# The states of a job that has ended.
ENDED = ("completed", "failed", "interrupted")
# What is a value to a compiled program, or nothing to it.
VALUES = ("seed", "optimizer.learning_rate", "epochs", "name")


@dataclass
class Job:
    """One run of a sweep.

    Args:
        number: From 0, in the order of the sweep.
        overrides: All of them.
        differs: Those that differ from run to run, by key.
        key: What its process must be started with.
        path: Its run directory.
        epochs: How many it has.
        trial: Its number in the study that asked for it, if one did.
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

    @property
    def label(self) -> str:
        """What tells it from the others."""
        short = short_keys(list(self.differs))
        shown = (f"{short[key]}={brief(value)}" for key, value in self.differs.items())
        return "  ".join(shown) or f"run {self.number}"

    @property
    def program(self) -> tuple[str, ...]:
        """What differs from the others in more than values: the like computes with one program."""
        return tuple(f"{k}={v}" for k, v in self.differs.items() if k not in VALUES)

    @property
    def pruned(self) -> bool:
        """Whether it was ended because it was worse than others at that epoch."""
        return self.result.get("stopped_by") == "pruning"

    def value(self, monitor: str) -> float | None:
        """What its best epoch logged, as ``val_loss``."""
        split = "validation" if monitor.startswith("val_") else "train"
        value = self.result.get(split, {}).get(monitor.removeprefix("val_"))
        return None if value is None else float(value)

    def told(self) -> dict[str, Any]:
        """What ``sweep.json`` and ``--json`` tell of it."""
        own = {"run_dir": str(self.path), "overrides": self.overrides, "status": self.state}
        why = {"error": self.error} if self.error else {}
        asked = {} if self.trial is None else {"trial": self.trial}
        return {**self.result, **own, "differs": self.differs, **asked, **why}


@dataclass(frozen=True)
class Plan:
    """A sweep's jobs, and how they are compared."""

    directory: Path
    keys: Sequence[str]
    jobs: list[Job]
    monitor: str
    mode: str

    def ranked(self) -> list[Job]:
        """The completed jobs, the best by the monitored metric first, those pruned last."""
        values = {job.number: job.value(self.monitor) for job in self.jobs}
        sign = -1 if self.mode == "max" else 1
        numbers = {n: v for n, v in values.items() if v is not None and not math.isnan(v)}
        ranks = {n: (n not in numbers, sign * numbers.get(n, 0)) for n in values}
        done = [job for job in self.jobs if job.state == "completed"]
        return sorted(done, key=lambda job: (job.pruned, ranks[job.number]))


def short_keys(keys: Sequence[str]) -> dict[str, str]:
    """For each key its last part, where that is no other's."""
    lasts = [key.rpartition(".")[2] for key in keys]
    return {
        key: last if lasts.count(last) == 1 else key for key, last in zip(keys, lasts, strict=True)
    }


def plan(
    overrides: Sequence[str],
    *,
    runs_dir: Path | None = None,
    config_dir: Path | None = None,
    trusted: Sequence[str] = (),
) -> Plan:
    """Compose every run, so that nothing starts where one of them is wrong.

    Args:
        overrides: In Hydra's grammar, several values included.
        runs_dir: The sweep goes to ``sweeps/`` in it; None for the runs' own ``runs_dir``.
        config_dir: The user's own options.
        trusted: As for :func:`dlrun.api.train.train`.

    Raises:
        DlrunError: With the mistakes of the first run that has some.
    """
    keys, runs = expand(overrides, config_dir=config_dir, trusted=trusted)
    configs = [checked(typed, config_dir=config_dir, trusted=trusted) for typed in runs]
    first = configs[0]
    directory = plan_run_path(runs_dir or Path(first.runs_dir), "sweeps")
    jobs = []
    for number, (typed, config) in enumerate(zip(runs, configs, strict=True)):
        typed.extend(as_override(config))
        path, differs = directory / _folder(number, len(runs)), _differs(typed, keys)
        jobs.append(Job(number, typed, differs, ProcessKey.of(config), path, config.epochs))
    return Plan(directory, keys, jobs, first.task.monitor, first.task.mode)


def job_of(
    number: int, typed: Sequence[str], keys: Sequence[str], path: Path, **where: Any
) -> tuple[Job, Config]:
    """One run's job and config.

    Args:
        number: The job's.
        typed: Its overrides.
        keys: Those that differ from run to run.
        path: Its directory.
        **where: As for :func:`checked`.

    Raises:
        DlrunError: As :func:`checked`.
    """
    config = checked(typed, **where)
    job = Job(
        number, list(typed), _differs(typed, keys), ProcessKey.of(config), path, config.epochs
    )
    return job, config


def checked(
    overrides: Sequence[str],
    *,
    config_dir: Path | None = None,
    trusted: Sequence[str] = (),
    recorded: bool = False,
) -> Config:
    """One run's config.

    Args:
        overrides: Its own.
        config_dir: The user's own options.
        trusted: As for :func:`dlrun.api.train.train`.
        recorded: As for :func:`dlrun.config.compose.compose`.

    Raises:
        DlrunError: If it is wrong, or its backend is not there, or the run that it begins from.
    """
    config = compose(overrides, config_dir=config_dir, trusted=trusted, recorded=recorded)
    require(config, training=True)
    if config.init_from is not None:
        find_initial_run(config)
    return config


def completed(path: Path) -> dict[str, Any] | None:
    """The result of a run that is there already, if it has completed."""
    try:
        told = read_json(path / RECORD)
    except (OSError, ValueError):
        return None
    done = isinstance(told, dict) and told.get("status") == "completed"
    return {key: told[key] for key in FIELDS if key in told} if done else None


def _folder(number: int, runs: int) -> str:
    return f"{number:0{len(str(runs - 1))}}"


def _differs(typed: Sequence[str], keys: Sequence[str]) -> dict[str, str]:
    values = {line.lstrip("+~").partition("=")[0]: line.partition("=")[2] for line in typed}
    return {key: values[key] for key in keys if key in values}


def recorded(record: Mapping[str, Any], directory: Path) -> Plan:
    """The plan of a sweep that has been, from its ``sweep.json``.

    Raises:
        DlrunError: If it is no record of a sweep.
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
            )
            for run in record["runs"]
        ]
        keys = [str(key) for key in record["keys"]]
        return Plan(directory, keys, jobs, str(record["monitor"]), str(record["mode"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DlrunError(f"{directory} holds no record of a sweep: {error!r}") from error


def _name(run: Mapping[str, Any]) -> str:
    """Of a run's directory: its number, as wide as it was when the sweep began."""
    name = str(run["run_dir"]).rpartition("/")[2]
    if not name.isdecimal():
        raise ValueError(f"run_dir {run['run_dir']}")
    return name
