"""What a launcher of Hydra's is given to do for each run of a sweep.

Here, and not in the process that starts the launcher: it is pickled by this module's name.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dlrun.errors import first_line
from dlrun.sweeps.plan import SWEEP_FILE, WORKERS, Job, recorded
from dlrun.sweeps.pool import Pool, Rules, record_failure
from dlrun.system import process
from dlrun.system.files import read_json, write_json
from dlrun.workers.client import THREADS

STOP = "stop"  # where it is, every run ends at the end of its batch
LOOK_SECONDS = 1.0


def run_one(config: Any, *, request: Mapping[str, Any]) -> dict[str, Any]:
    """Run one job in a new process, whatever this one has run before, and wait for its end.

    Args:
        config: Its ``number`` is the job's.
        request: Of :class:`dlrun.sweeps.launcher_process.Launched`.

    Returns:
        How it ended.
    """
    os.chdir(request["cwd"])
    allotted = _allotted() if request["launcher"] == "submitit_slurm" else {}
    for name, value in {**request["environment"], **allotted}.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    directory, launch = Path(request["sweep_dir"]), Path(request["launch_dir"])
    jobs = recorded(read_json(directory / SWEEP_FILE), directory).jobs
    [job] = [job for job in jobs if job.number == int(config.number)]
    own = directory / WORKERS / job.path.name
    own.mkdir(exist_ok=True)

    def changed(job: Job) -> None:
        write_json(progress(job, launch), _told(job), indent=None)

    with _slot(launch, request["slots"]) as slot:
        rules = Rules(
            request["slots"],
            request["timeout_seconds"],
            request["retries"],
            config_dir=Path(request["config_dir"]) if request["config_dir"] else None,
            trusted=request["trusted"],
            typed=request["typed"],
            slot=slot,
        )
        pool = Pool(rules, own, changed)
        try:
            with _heeding(launch / STOP, pool):
                pool.run([job])
        except SystemExit:  # of submitit, which has given its place to another and is queued again
            job.state, job.error = "pending", None
            changed(job)
            raise
        except Exception as error:  # of submitit, when the time that Slurm has given is over
            why = first_line(error)
            if "timed-out" in why:
                why = "its time was over; more is --launcher-option timeout_min=MINUTES"
            job.state, job.error = "failed", f"{request['launcher']} ended it: {why}"
            record_failure(job)
            changed(job)
    return _told(job)


def _allotted() -> dict[str, str]:
    """A thread for each core that Slurm has given, where it keeps the process to none of them."""
    given = int(os.environ.get("SLURM_CPUS_ON_NODE", "0"))
    return dict.fromkeys(THREADS, str(given)) if 0 < given < process.cores() else {}


def progress(job: Job, launch: Path) -> Path:
    """Where a job's state is written while it runs."""
    return launch / f"{job.path.name}.json"


def _told(job: Job) -> dict[str, Any]:
    return {name: getattr(job, name) for name in ("state", "error", "result", "logs", "attempts")}


@contextmanager
def _slot(directory: Path, slots: int) -> Iterator[int]:
    """A place on this machine that no other run has: a share of its cores, and of its GPUs."""
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
    raise RuntimeError(f"{slots} runs at once were asked for, and more were started")


@contextmanager
def _heeding(stop: Path, pool: Pool) -> Iterator[None]:
    """Stop the pool when the sweep says so."""
    done = threading.Event()

    def look() -> None:
        while not done.wait(LOOK_SECONDS):
            if stop.exists():
                pool.stop()
                return

    if stop.exists():
        pool.stop()
    watching = threading.Thread(target=look, daemon=True)
    watching.start()
    try:
        yield
    finally:
        done.set()
        watching.join()
