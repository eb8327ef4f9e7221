"""Run :mod:`dlrun.proofs.bench_steps` in a process of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dlrun.config.project import HERE, Project
from dlrun.system import process
from dlrun.system.child_job import ChildJob

MODULE = "dlrun.proofs.bench_steps"
BUSY = 0.7  # of the cores, before anything is measured


def measure_steps(
    overrides: Sequence[str],
    *,
    folder: Path,
    name: str,
    seconds: float,
    limit: float,
    sizes: Sequence[int] = (),
    variants: Sequence[Sequence[str]] = (),
    project: Project = HERE,
    watch: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Measure the steps of a config.

    Args:
        overrides: The config.
        folder: For the files of the job.
        name: Of the job, unique in the folder.
        seconds: To train, after the first step.
        limit: Seconds after which the process is killed; what it has measured is the answer.
        sizes: Of batches to predict.
        variants: Overrides to train with after that.
        project: The user's own options, and what is trusted.
        watch: As for :meth:`dlrun.system.child_job.ChildJob.wait`.

    Returns:
        The figures of :mod:`dlrun.proofs.bench_steps`, as far as the time sufficed.

    Raises:
        DlrunError: If the config can't run here, or nothing was measured in time.
    """
    job = {
        "overrides": list(overrides),
        "project": project.to_json(),
        "seconds": seconds,
        "sizes": list(sizes),
        "variants": [list(variant) for variant in variants],
    }
    with ChildJob(MODULE, job, folder=folder, name=name) as child:
        return child.wait(limit, watch)


def load_note() -> str | None:
    """What to say if other processes take the cores."""
    load, cores = os.getloadavg()[0], process.cores()
    if load < cores * BUSY:
        return None
    return f"other processes were busy (load {load:.1f} on {cores} cores): times are too long"
