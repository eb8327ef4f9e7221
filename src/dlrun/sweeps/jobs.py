"""The jobs of a sweep, and how they are ranked."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dlrun.errors import DlrunError
from dlrun.report.page.formats import short_keys
from dlrun.report.tables import brief
from dlrun.runs.metric_direction import direction
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
        state: ``pending``, ``running``, or how it has ended, as in its record.
        result: What ``dlrun train --json`` prints of it; empty until it has ended.
        error: Why it has failed; None if it has not.
        logs: The values of its last epoch, with its number as ``epoch``.
        attempts: How often it was started.
        trial: The number of its trial in the study of a search; None without one.
        reused: The directory of an equal run that is taken instead, with ``--needed``.
        dropped: Whether ``--keep`` has removed its checkpoints.
        pinned: Whether it was made again, and is not dropped any more.
        earlier: The result that it had before it was dropped and made again.
        resumed: The overrides that it was resumed with, beside the sweep: it is none of the sweep's
            settings any more.
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
    resumed: list[str] = field(default_factory=list)

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
        resumed = {"resumed": self.resumed} if self.resumed else {}
        rest = {**trial, **flags, **resumed, **error}
        return {**self.result, **state, "differs": self.differs, **rest}


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

    def ranking(self) -> list[Job]:
        """The completed and pruned jobs, best monitored metric first."""
        values = {job.number: job.value(self.monitor) for job in self.jobs}
        sign = -1 if self.mode == "max" else 1
        numbers = {n: v for n, v in values.items() if v is not None and math.isfinite(v)}
        ranks = {n: (n not in numbers, sign * numbers.get(n, 0)) for n in values}
        done = [job for job in self.jobs if job.state == "completed"]
        return sorted(done, key=lambda job: ranks[job.number])


def in_means(jobs: Iterable[Job]) -> list[Job]:
    """The runs that count in means over seeds or folds, of the completed ones.

    Not those that were pruned or resumed with other settings. A search may draw a setting twice: an
    equal run is as good as a copy, and would make an interval narrower.
    """
    found: dict[tuple[tuple[str, str], ...], Job] = {}
    for job in sorted(jobs, key=lambda job: job.number):
        if not (job.pruned or job.resumed):
            found.setdefault(tuple(job.differs.items()), job)
    return list(found.values())


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
