"""Evaluations in a process of their own, as a process can start one backend.

``python -m dlrun.inference.job_process ANSWER`` reads jobs from stdin, and writes what they found
into a file, both pickled: no other program writes or reads them.
"""

from __future__ import annotations

import logging
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from dlrun.errors import DlrunError
from dlrun.inference.job import Evaluation, Job, evaluate_job
from dlrun.system.child import how_ended, python_command


def evaluate_in_process(jobs: Sequence[Job]) -> list[Evaluation]:
    """Do jobs of one backend in a new process.

    Raises:
        DlrunError: If one can't be done.
    """
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.pickle"
        done = subprocess.run(
            python_command("dlrun.inference.job_process", str(answer)),
            input=pickle.dumps(list(jobs)),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            check=False,
        )
        errors = done.stderr.decode(errors="replace")
        if not answer.exists():
            raise DlrunError(f"{jobs[0].run}: {how_ended(done.returncode, errors)}", exit_code=1)
        found = pickle.loads(answer.read_bytes())
    if isinstance(found, dict):
        raise DlrunError.from_json(found)
    evaluated: list[Evaluation] = found
    return evaluated


def main() -> None:
    """Do the jobs of stdin."""
    log = logging.getLogger("dlrun")
    log.addHandler(logging.StreamHandler())
    answer = Path(sys.argv[1])
    jobs: list[Job] = pickle.loads(sys.stdin.buffer.read())
    try:
        found: object = [evaluate_job(job, *job.open()) for job in jobs]
    except DlrunError as error:
        found = error.to_json()
    answer.write_bytes(pickle.dumps(found))


if __name__ == "__main__":
    main()
