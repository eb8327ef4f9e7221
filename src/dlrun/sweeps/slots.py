"""How many runs of a sweep are trained at once."""

from __future__ import annotations

from collections.abc import Sequence

from dlrun.errors import DlrunError
from dlrun.sweeps.jobs import Job
from dlrun.system import process
from dlrun.system.gpus import visible_gpus


def choose_slots(expected: Sequence[Job], jobs: int | None) -> int:
    """One slot per core; per GPU, or as many as each run takes, if all runs may use GPUs.

    Args:
        expected: The runs.
        jobs: As typed; None for as many as the machine has room for.

    Raises:
        DlrunError: If so many jobs at once would share GPUs of runs that take several.
    """
    gpus, each = len(visible_gpus()), max((job.key.devices for job in expected), default=1)
    if not on_gpus(expected):
        return jobs or process.cores()
    most = max(1, gpus // each)
    if each > 1 and jobs is not None and jobs > most:
        raise DlrunError(
            f"--jobs {jobs}: runs that take {each} GPUs share none, and there are {gpus}",
            hint=f"--jobs {most}",
        )
    return jobs or most


def on_gpus(expected: Sequence[Job]) -> bool:
    """Whether all runs may use GPUs, and there are some."""
    may_use = all(job.key.device.startswith(("gpu", "auto")) for job in expected)
    return may_use and bool(visible_gpus())
