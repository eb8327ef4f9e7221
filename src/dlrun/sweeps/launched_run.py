"""The function that a Hydra launcher calls for each run of a sweep.

It is not in the module that starts the launcher, which runs as ``__main__``: a pickled function is
found by the name of its module.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dlrun.config.project import Project
from dlrun.errors import first_line
from dlrun.runs.directory import SWEEP_FILE
from dlrun.sweeps.jobs import WORKERS, Job, read_plan
from dlrun.sweeps.pool import Pool, Rules, record_failure
from dlrun.system import process
from dlrun.system.files import exists, read_json, write_json
from dlrun.workers.client import THREADS

STOP = "stop"  # while this file exists, every run stops at the end of its batch
POLL_SECONDS = 1.0


def run_one(config: Any, *, request: Mapping[str, Any]) -> dict[str, Any]:
    """Run one job in a new process, and wait for its end.

    Args:
        config: Its ``number`` is the job's.
        request: From :class:`dlrun.sweeps.launcher_process.LauncherPool`.

    Returns:
        The final state of the job.
    """
    os.chdir(request["cwd"])
    threads = _slurm_threads() if request["launcher"] == "submitit_slurm" else {}
    for name, value in {**request["environment"], **threads}.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    directory, launch = Path(request["sweep_dir"]), Path(request["launch_dir"])
    jobs = read_plan(read_json(directory / SWEEP_FILE), directory).jobs
    [job] = [job for job in jobs if job.number == int(config.number)]
    log_directory = directory / WORKERS / job.path.name
    log_directory.mkdir(exist_ok=True)

    def on_change(job: Job) -> None:
        write_json(progress_path(job, launch), _state(job), indent=None)

    with _slot(launch, request["slots"]) as slot:
        rules = Rules(
            request["slots"],
            request["timeout_seconds"],
            request["retries"],
            project=Project.from_json(request["project"]),
            typed=request["typed"],
            slot=slot,
            devices=request["devices"],
        )
        pool = Pool(rules, log_directory, on_change)
        try:
            with _stop_on_request(launch / STOP, pool):
                pool.run([job])
        except SystemExit:  # by submitit, if Slurm preempted the job and queued it again
            job.state, job.error = "pending", None
            on_change(job)
            raise
        except Exception as error:  # by submitit, when Slurm's time limit is over
            reason = first_line(error)
            if "timed-out" in reason:
                reason = "its time was over; allow more with --launcher-option timeout_min=MINUTES"
            job.state, job.error = "failed", f"{request['launcher']} ended it: {reason}"
            record_failure(job)
            on_change(job)
    return _state(job)


def _slurm_threads() -> dict[str, str]:
    """One thread per core that Slurm has allotted, if it does not restrict the process to them."""
    allotted = int(os.environ.get("SLURM_CPUS_ON_NODE", "0"))
    return dict.fromkeys(THREADS, str(allotted)) if 0 < allotted < process.cores() else {}


def progress_path(job: Job, launch: Path) -> Path:
    """The file that holds a job's state while it runs."""
    return launch / f"{job.path.name}.json"


def _state(job: Job) -> dict[str, Any]:
    return {name: getattr(job, name) for name in ("state", "error", "result", "logs", "attempts")}


@contextmanager
def _slot(directory: Path, slots: int) -> Iterator[int]:
    """Lock a slot of this machine: a share of its cores and GPUs."""
    if slots == 1:
        yield 0
        return
    for slot in range(slots):
        with (directory / f"slot-{slot}").open("a", encoding="ascii") as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            yield slot
            return
    raise RuntimeError(f"more than {slots} parallel runs were started")


@contextmanager
def _stop_on_request(stop: Path, pool: Pool) -> Iterator[None]:
    """Stop the pool when the sweep creates the file ``stop``."""
    done = threading.Event()

    def poll() -> None:
        while not done.wait(POLL_SECONDS):
            if exists(stop):
                pool.stop()
                return

    if exists(stop):
        pool.stop()
    poller = threading.Thread(target=poll, daemon=True)
    poller.start()
    try:
        yield
    finally:
        done.set()
        poller.join()
