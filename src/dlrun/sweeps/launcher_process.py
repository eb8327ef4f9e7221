"""Run a sweep's jobs by a Hydra launcher, which has its own process.

Launchers change signal handlers, logging and stdout; the process keeps that from the sweep.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from dlrun.config.sweeps.launcher_options import Place, place
from dlrun.config.sweeps.launchers import launch
from dlrun.errors import describe
from dlrun.runs.directory import plan_run_path
from dlrun.sweeps.jobs import ENDED, WORKERS, Job
from dlrun.sweeps.launched_run import STOP, progress_path, run_one
from dlrun.sweeps.pool import Rules, record_failure
from dlrun.system.child import python_command
from dlrun.system.files import read_json, write_json
from dlrun.workers.client import THREADS

POLL_SECONDS = 0.5
EXIT_SECONDS = 10.0  # for a stopped launcher to end by itself, once no run is running
ENDINGS, LOG = "ended.json", "launcher.log"
SAFE_PATH = "PYTHONSAFEPATH"  # the environment variable for -P


class LauncherPool:
    """Like :class:`dlrun.sweeps.pool.Pool`, but a launcher runs each job in a new process.

    Args:
        name: The name of the launcher.
        options: Its options, as ``key=value``.
        rules: As for :class:`dlrun.sweeps.pool.Pool`.
        directory: The sweep's directory.
        on_change: Called with a job after each change of its state.
    """

    def __init__(
        self,
        name: str,
        options: Sequence[str],
        rules: Rules,
        directory: Path,
        on_change: Callable[[Job], None],
    ) -> None:
        self._rules = rules
        # New for each launch: runs of an earlier, killed launch may still be ending.
        self._launch = plan_run_path(directory / WORKERS, "launches")
        self._launch.mkdir(parents=True)
        self._on_change = on_change
        self._stopping = False
        where = place(name, options)
        on_cluster = where.on_cluster  # the cluster allots the cores of each run
        self._request: dict[str, Any] = {
            "launcher": name,
            "options": list(options),
            "jobs": rules.slots,
            "slots": 1 if on_cluster else rules.slots,
            # Child processes of a run get the environment of the sweep.
            "environment": {**_environment(where), SAFE_PATH: os.environ.get(SAFE_PATH)},
            "cwd": str(Path.cwd()),
            "sweep_dir": str(directory),
            "launch_dir": str(self._launch),
            "timeout_seconds": rules.timeout_seconds,
            "retries": rules.retries,
            "project": rules.project.to_json(),
            "typed": rules.typed,
            "devices": rules.devices,
        }

    def stop(self) -> None:
        """Stop every run at the end of its batch, and start no more."""
        self._stopping = True
        (self._launch / STOP).touch()

    def run(self, jobs: Sequence[Job]) -> None:
        """Run jobs until all have ended or were stopped."""
        request = {**self._request, "numbers": [job.number for job in jobs]}
        with (self._launch / LOG).open("ab") as log:
            process = subprocess.Popen(
                python_command("dlrun.sweeps.launcher_process"),
                # Launchers start processes, which do not inherit -P.
                env={**os.environ, SAFE_PATH: "1"},
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                text=True,
                start_new_session=True,  # Ctrl-C goes to the sweep, which stops its runs
            )
        assert process.stdin is not None
        with process.stdin as stdin:
            with suppress(BrokenPipeError):  # the process has died; _end reports it
                print(json.dumps(request), file=stdin, flush=True)
            while process.poll() is None:
                time.sleep(POLL_SECONDS)
                self._read_progress(jobs)
                if self._stopping:
                    stdin.close()
        self._end(jobs, process.returncode)

    def _read_progress(self, jobs: Iterable[Job]) -> None:
        for job in jobs:
            if job.state not in ENDED:
                with suppress(OSError, ValueError):
                    self._update(job, read_json(progress_path(job, self._launch)))

    def _update(self, job: Job, state: Mapping[str, Any]) -> None:
        if all(getattr(job, name) == value for name, value in state.items()):
            return
        for name, value in state.items():
            setattr(job, name, value)
        if job.state == "completed" and job.result["backend"] != job.key.backend:
            backend = job.result["backend"]
            job.state, job.error = "failed", f"ran on {backend}, not on {job.key.backend}"
            record_failure(job)
        self._on_change(job)
        if job.state == "failed" and self._rules.fail_fast and not self._stopping:
            self.stop()

    def _end(self, jobs: Sequence[Job], exit_code: int) -> None:
        """Record how each job ended, also for those that could not do so themselves."""
        try:
            ended = read_json(self._launch / ENDINGS)
        except (OSError, ValueError):
            ended = {"errors": [f"its process ended with exit code {exit_code}"], "returned": {}}
        for job in jobs:
            if job.state not in ENDED and (state := ended["returned"].get(str(job.number))):
                self._update(job, state)
        self._read_progress(jobs)
        launcher = self._request["launcher"]
        reason = "; ".join([*ended["errors"], f"see {self._launch / LOG}"])
        for job in jobs:
            started = job.state == "running"
            if job.state not in ENDED and (started or not self._stopping):
                job.state = "interrupted" if self._stopping else "failed"
                job.error = f"{launcher} lost it: {reason}"
                record_failure(job)
                self._on_change(job)


def _environment(where: Place) -> dict[str, str | None]:
    """Variables that a run's process must have, even if the launcher changes them; None unsets."""
    if not where.on_cluster:  # the slots share out cores and GPUs
        return {name: os.environ.get(name) for name in (*THREADS, "CUDA_VISIBLE_DEVICES")}
    return dict.fromkeys(THREADS, str(where.threads)) if where.threads else {}


def _any_running(launch_dir: Path) -> bool:
    for file in launch_dir.glob("[0-9]*.json"):
        with suppress(OSError, ValueError):
            if read_json(file)["state"] == "running":
                return True
    return False


def main() -> None:
    """Start the launcher that a line of stdin requests; stop its runs when stdin is closed.

    Queued runs are not waited for.
    """
    request = json.loads(sys.stdin.readline())
    launch_dir = Path(request["launch_dir"])

    def listen() -> None:
        os.read(sys.stdin.fileno(), 1)  # not sys.stdin.read: Python needs its lock to exit
        (launch_dir / STOP).touch()
        idle = 0.0
        while idle < EXIT_SECONDS:
            time.sleep(POLL_SECONDS)
            idle = 0.0 if _any_running(launch_dir) else idle + POLL_SECONDS
        os._exit(1)

    threading.Thread(target=listen, daemon=True).start()
    returned, errors = launch(
        request["launcher"],
        request["options"],
        functools.partial(run_one, request=request),
        request["numbers"],
        directory=launch_dir,
        jobs=request["jobs"],
    )
    for error in errors:
        traceback.print_exception(error)
    messages = [describe(error) for error in errors]
    write_json(launch_dir / ENDINGS, {"returned": returned, "errors": messages}, indent=None)


if __name__ == "__main__":
    main()
