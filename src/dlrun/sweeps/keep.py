"""``sweep --keep best|top=3|none``: worse runs lose their checkpoints while the sweep goes on."""

from __future__ import annotations

import logging
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from dlrun.checkpoints.store import checkpoint_path, list_positions, remove_checkpoint
from dlrun.config.sweeps.repeats import REPEATS
from dlrun.errors import DlrunError
from dlrun.remote.places import typed_path
from dlrun.runs.directory import CHECKPOINTS, RECORD, RunDir, lock
from dlrun.sweeps.jobs import Job, Plan
from dlrun.system.files import is_dir, read_json

log = logging.getLogger("dlrun")

ALL = "all"


@dataclass
class Keeper:
    """Removes the checkpoints of the runs that are not among the best.

    Of a run that has failed or was stopped nothing is removed: it may go on. Nor of one that was
    resumed with other settings, which competes with none. Runs that differ in seed or fold alone
    are kept or dropped together, by their mean.

    Args:
        typed: ``all``, ``best``, ``top=3`` or ``none``.
        plan: The sweep's.
        repeats: How many runs a setting has.
        front: The numbers of the runs on the Pareto front, of a search with several objectives:
            they are its best. A run that another beats never comes back to it.
    """

    typed: str
    plan: Plan
    repeats: int = 1
    front: Callable[[], set[int]] | None = None

    def drop(self) -> list[Job]:
        """Remove what may go by now; returns the runs that lost their checkpoints."""
        count = parse_keep(self.typed)
        if count is None:
            return []
        settings = self._settings()
        complete = [jobs for jobs in settings if len(jobs) >= self.repeats]
        left: Iterable[Job]
        if self.front is not None and count:
            best = self.front()
            left = (job for jobs in complete for job in jobs if job.number not in best)
        else:
            left = (job for jobs in complete[count:] for job in jobs)
        return [job for job in left if not (job.dropped or job.pinned or job.reused) and _drop(job)]

    def _settings(self) -> list[list[Job]]:
        """The completed runs by setting, the best mean first."""
        groups: dict[tuple[tuple[str, str], ...], list[Job]] = defaultdict(list)
        for job in self.plan.jobs:
            if job.state == "completed" and not job.resumed:
                shared = (item for item in job.differs.items() if item[0] not in REPEATS)
                groups[tuple(shared) if self.repeats > 1 else (("", str(job.number)),)].append(job)
        sign = -1 if self.plan.mode == "max" else 1

        def rank(jobs: Sequence[Job]) -> tuple[bool, float]:
            values = [job.value(self.plan.monitor) for job in jobs]
            numbers = [value for value in values if value is not None and math.isfinite(value)]
            return (len(numbers) < len(values), sign * fmean(numbers) if numbers else 0.0)

        return sorted(groups.values(), key=rank)


def parse_keep(typed: str) -> int | None:
    """How many settings keep their checkpoints; None for all.

    Raises:
        DlrunError: If it is none of ``all``, ``best``, ``top=N`` and ``none``.
    """
    name, _, number = typed.partition("=")
    if typed in (ALL, "best", "none"):
        return {ALL: None, "best": 1, "none": 0}[typed]
    if name == "top" and number.isdecimal() and int(number) > 0:
        return int(number)
    raise DlrunError(f"--keep {typed}: expected all, best, top=N or none", hint="--keep top=3")


def repeats_of(plan: Plan, repeated: int | None) -> int:
    """How many runs a setting of a sweep has.

    Args:
        plan: The sweep's.
        repeated: The repeats of each trial of a search; None without a search.
    """
    if repeated is not None:
        return repeated
    over = [key for key in plan.keys if key in REPEATS]
    values = {tuple(job.differs.get(key) for key in over) for job in plan.jobs}
    return len(values) if over and len(over) < len(plan.keys) else 1


def choose_again(plan: Plan, typed: str) -> None:
    """Prepare dropped runs to be trained again.

    Args:
        plan: The sweep's.
        typed: ``all``, or numbers of runs as ``3,7``.

    Raises:
        DlrunError: If one of them was not dropped.
    """
    dropped = {job.path.name: job for job in plan.jobs if job.dropped}
    if typed == ALL:
        chosen = list(dropped.values())
    else:
        names = dropped | {str(job.number): job for job in dropped.values()}
        wanted = [word.strip() for word in typed.split(",")]
        for word in wanted:
            if word not in names:
                listed = ", ".join(dropped) or "none"
                raise DlrunError(
                    f"--again {word}: not a run that was dropped; there are {listed}",
                    hint="--again all",
                )
        chosen = list({names[word].number: names[word] for word in wanted}.values())
    for job in chosen:
        job.earlier, job.state, job.result = job.result, "pending", {}
        job.dropped, job.pinned = False, True


def compare_again(job: Job) -> None:
    """Log whether a run that was made again has the numbers that it had."""
    splits = ("train", "validation", "test")
    same = all(job.result.get(split) == job.earlier.get(split) for split in splits)
    if same:
        log.info("run %s has the numbers that it had", job.path.name)
    else:
        log.warning("run %s has other numbers than it had", job.path.name)


def _drop(job: Job) -> bool:
    """Remove the checkpoints of a run, and record it; False if it is being written."""
    try:
        with lock(job.path):
            run = RunDir(job.path, read_json(job.path / RECORD))
            run.update(dropped=True)  # first: a run without checkpoints always says why
            for at in list_positions(job.path / CHECKPOINTS):
                path = checkpoint_path(job.path / CHECKPOINTS, at)
                if is_dir(path) and not path.is_symlink():
                    remove_checkpoint(path)
    except (DlrunError, OSError, ValueError) as error:
        log.warning("the checkpoints of %s are kept: %s", job.path, error)
        return False
    with suppress(OSError):
        (job.path / CHECKPOINTS).rmdir()
    job.dropped = True
    return True


def dropped_entry(plan: Plan) -> dict[str, Any]:
    """What ``dlrun sweep --json`` says of the runs that were dropped; empty without any."""
    names = [job.path.name for job in plan.jobs if job.dropped]
    command = f"dlrun sweep --resume {typed_path(plan.directory)} --again all"
    return {"dropped": {"runs": names, "command": command}} if names else {}
