"""What a worker is given at once: one job, or several that train in one program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dlrun.checkpoints.store import list_positions
from dlrun.runs.directory import CHECKPOINTS, CONFIG
from dlrun.sweeps.jobs import Job
from dlrun.system.files import is_file
from dlrun.workers.key import ProcessKey

MOST = 32  # runs in one program: their states lie in memory together, twice while they are moved


@dataclass(eq=False)
class Assignment:
    """Jobs for a worker; several differ only in values of one program."""

    jobs: Sequence[Job]

    @property
    def key(self) -> ProcessKey:
        """The settings of their process."""
        return self.jobs[0].key

    @property
    def program(self) -> tuple[str, ...]:
        """The overrides that their compiled program depends on."""
        return self.jobs[0].program

    def running(self) -> list[Job]:
        """Those that have not ended."""
        return [job for job in self.jobs if job.state == "running"]


def alone(job: Job) -> Assignment:
    """A job for itself."""
    return Assignment([job])


def side_by_side(jobs: Sequence[Job], slots: int) -> list[Assignment]:
    """The jobs, those of one program together, shared out evenly to the slots.

    What was begun is resumed alone: it may continue at another step than the others.
    """
    new: dict[object, list[Job]] = {}
    found = []
    for job in jobs:
        if can_resume(job.path):
            found.append(alone(job))
        else:
            new.setdefault((job.key, job.program), []).append(job)
    for alike in new.values():
        size = min(MOST, -(-len(alike) // slots))
        found += [Assignment(alike[at : at + size]) for at in range(0, len(alike), size)]
    return found


def can_resume(path: Path) -> bool:
    """Whether a job's run directory has a checkpoint to go on from."""
    return is_file(path / CONFIG) and bool(list_positions(path / CHECKPOINTS))
