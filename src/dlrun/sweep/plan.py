"""What a sweep runs: its jobs, and what a process must be started with for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from dlrun import backends, feeds
from dlrun.config.compose import compose
from dlrun.config.sweeps import expand
from dlrun.errors import DlrunError
from dlrun.report.tables import brief

# What a sweep's directory holds beside its runs.
RECORD, LEADERBOARD, WORKERS = "sweep.json", "leaderboard.csv", "workers"
# The states of a job that has ended.
ENDED = ("completed", "failed", "interrupted")


class Key(NamedTuple):
    """What is set before a framework is imported; runs of one key may share a process."""

    backend: str
    device: str
    precision: str
    compilation_cache: bool
    feed: str


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
    key: Key
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
        shown = (f"{key}={brief(value)}" for key, value in self.differs.items())
        return "  ".join(shown) or f"run {self.number}"

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

    keys: Sequence[str]
    jobs: list[Job]
    monitor: str
    mode: str

    def ranked(self) -> list[Job]:
        """The completed jobs, the best by the monitored metric first, those pruned last."""
        values = {job.number: job.value(self.monitor) for job in self.jobs}
        sign = -1 if self.mode == "max" else 1
        ranks = {n: sign * value for n, value in values.items() if value is not None}
        done = [job for job in self.jobs if job.state == "completed" and job.number in ranks]
        return sorted(done, key=lambda job: (job.pruned, ranks[job.number]))


def plan(
    overrides: Sequence[str],
    directory: Path,
    *,
    config_dir: Path | None = None,
    trusted: Sequence[str] = (),
) -> Plan:
    """Compose every run, so that nothing starts where one of them is wrong.

    Raises:
        DlrunError: With the mistakes of the first run that has some.
    """
    keys, runs = expand(overrides, config_dir=config_dir, trusted=trusted)
    width = len(str(len(runs) - 1))
    jobs = []
    for number, typed in enumerate(runs):
        job, config = job_of(
            number, typed, keys, directory / f"{number:0{width}}", config_dir, trusted
        )
        jobs.append(job)
        if number == 0:
            monitor, mode = config.task.monitor, config.task.mode
    return Plan(keys, jobs, monitor, mode)


def job_of(
    number: int,
    typed: Sequence[str],
    keys: Sequence[str],
    path: Path,
    config_dir: Path | None,
    trusted: Sequence[str],
) -> tuple[Job, Any]:
    """One run's job and config.

    Raises:
        DlrunError: If its config is wrong, or its backend is not there.
    """
    config = compose(typed, config_dir=config_dir, trusted=trusted)
    compile = str(config.loop.get("compile", "auto"))
    backends.require(config.backend.name, training=True, compile=compile)
    feeds.require(config.feed)
    key = Key(
        config.backend.name,
        str(config.device),
        config.precision,
        config.backend.compilation_cache,
        config.feed,
    )
    job = Job(number, list(typed), _differs(typed, keys), key, path, config.epochs)
    return job, config


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
                Key(*run["key"]),
                directory / _name(run),
                int(run["epochs_planned"]),
                trial=run.get("trial"),
            )
            for run in record["runs"]
        ]
        return Plan(list(record["keys"]), jobs, str(record["monitor"]), str(record["mode"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DlrunError(f"{directory} holds no record of a sweep: {error!r}") from error


def _name(run: Mapping[str, Any]) -> str:
    """Of a run's directory: its number, as wide as it was when the sweep began."""
    name = str(run["run_dir"]).rpartition("/")[2]
    if not name.isdecimal():
        raise ValueError(f"run_dir {run['run_dir']}")
    return name
