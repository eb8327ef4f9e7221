"""Evaluations in a process of their own, as a process can start one backend.

Jobs and what they found are pickled: no other program writes or reads them.
"""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dlrun.inference.job import Evaluation, Job, evaluate_job
from dlrun.system.child_job import ChildJob, answer_job

JOBS, FOUND = "jobs.pickle", "found.pickle"


def evaluate_in_process(jobs: Sequence[Job]) -> list[Evaluation]:
    """Do jobs of one backend in a new process.

    Raises:
        DlrunError: If one can't be done.
    """
    module = "dlrun.inference.job_process"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / JOBS).write_bytes(pickle.dumps(list(jobs)))
        with ChildJob(module, {"folder": name}, folder=folder, name="evaluate") as child:
            child.wait()
        found: list[Evaluation] = pickle.loads((folder / FOUND).read_bytes())
    return found


def _do(job: Mapping[str, Any]) -> dict[str, Any]:
    folder = Path(job["folder"])
    jobs: list[Job] = pickle.loads((folder / JOBS).read_bytes())
    found = [evaluate_job(job, *job.open()) for job in jobs]
    (folder / FOUND).write_bytes(pickle.dumps(found))
    return {}


if __name__ == "__main__":
    answer_job(_do)
