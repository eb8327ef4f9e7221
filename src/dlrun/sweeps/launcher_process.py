"""A sweep's jobs in the hands of one of Hydra's launchers, and the process that starts it.

That process is one of its own: what launchers do to signals, to logging and to stdout stays there.
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

from dlrun.config.sweeps.launchers import Place, launch, place
from dlrun.errors import first_line
from dlrun.runs.directory import plan_run_path
from dlrun.sweeps.launched_run import STOP, progress, run_one
from dlrun.sweeps.plan import ENDED, WORKERS, Job
from dlrun.sweeps.pool import Rules, record_failure
from dlrun.system.child import python_command
from dlrun.system.files import read_json, write_json
from dlrun.workers.client import THREADS

LOOK_SECONDS = 0.5
LEAVE_SECONDS = 10.0  # for a launcher to end by itself, once it has been stopped and no run runs
ENDINGS, LOG = "ended.json", "launcher.log"
SAFE_PATH = "PYTHONSAFEPATH"  # in the environment, what -P is on the command line


class Launched:
    """Runs jobs by a launcher: as :class:`dlrun.sweeps.pool.Pool`, but each in a new process.

    Args:
        name: The launcher's.
        options: As ``key=value``.
        jobs: How many the user wants at once, where they do.
        rules: As for the pool.
        directory: The sweep's.
        changed: Called with a job after each change of it.
    """

    def __init__(
        self,
        name: str,
        options: Sequence[str],
        jobs: int | None,
        rules: Rules,
        directory: Path,
        changed: Callable[[Job], None],
    ) -> None:
        self._rules = rules
        # Of this launch alone: of one before, that was killed, runs may be about to end.
        self._launch = plan_run_path(directory / WORKERS, "launches")
        self._launch.mkdir(parents=True)
        self._changed = changed
        self._stopping = False
        where = place(name, options)
        away = where.on_cluster  # each run has the cores that the cluster gives it
        self._request: dict[str, Any] = {
            "launcher": name,
            "options": list(options),
            "jobs": jobs if away else rules.slots,
            "slots": 1 if away else rules.slots,
            # What a run starts has the environment that the sweep has.
            "environment": {**_environment(where), SAFE_PATH: os.environ.get(SAFE_PATH)},
            "cwd": str(Path.cwd()),
            "sweep_dir": str(directory),
            "launch_dir": str(self._launch),
            "timeout_seconds": rules.timeout_seconds,
            "retries": rules.retries,
            "config_dir": str(rules.config_dir) if rules.config_dir else None,
            "trusted": list(rules.trusted),
            "typed": rules.typed,
        }

    def stop(self) -> None:
        """End every run at the end of its batch, and start no other."""
        self._stopping = True
        (self._launch / STOP).touch()

    def run(self, jobs: Sequence[Job]) -> None:
        """Run jobs until each has ended, or they were stopped."""
        request = {**self._request, "numbers": [job.number for job in jobs]}
        with (self._launch / LOG).open("ab") as log:
            process = subprocess.Popen(
                python_command("dlrun.sweeps.launcher_process"),
                # Launchers start processes of their own, to which -P does not come down.
                env={**os.environ, SAFE_PATH: "1"},
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                text=True,
                start_new_session=True,  # Ctrl-C is for the sweep, which tells its runs
            )
        assert process.stdin is not None
        with process.stdin as line:
            with suppress(BrokenPipeError):  # of a process that has died, told below
                print(json.dumps(request), file=line, flush=True)
            while process.poll() is None:
                time.sleep(LOOK_SECONDS)
                self._look(jobs)
                if self._stopping:
                    line.close()
        self._end(jobs, process.returncode)

    def _look(self, jobs: Iterable[Job]) -> None:
        for job in jobs:
            if job.state not in ENDED:
                with suppress(OSError, ValueError):
                    self._take(job, read_json(progress(job, self._launch)))

    def _take(self, job: Job, told: Mapping[str, Any]) -> None:
        if all(getattr(job, name) == value for name, value in told.items()):
            return
        for name, value in told.items():
            setattr(job, name, value)
        if job.state == "completed" and job.result["backend"] != job.key.backend:
            ran = job.result["backend"]
            job.state, job.error = "failed", f"ran on {ran}, not on {job.key.backend}"
            record_failure(job)
        self._changed(job)
        if job.state == "failed" and self._rules.fail_fast and not self._stopping:
            self.stop()

    def _end(self, jobs: Sequence[Job], exit_code: int) -> None:
        """Tell of each job how it ended, also of those that could not tell themselves."""
        try:
            ended = read_json(self._launch / ENDINGS)
        except (OSError, ValueError):
            ended = {"errors": [f"its process ended with exit code {exit_code}"], "returned": {}}
        for job in jobs:
            if job.state not in ENDED and (told := ended["returned"].get(str(job.number))):
                self._take(job, told)
        self._look(jobs)
        launcher = self._request["launcher"]
        why = "; ".join([*ended["errors"], f"see {self._launch / LOG}"])
        for job in jobs:
            begun = job.state == "running"
            if job.state not in ENDED and (begun or not self._stopping):
                job.state = "interrupted" if self._stopping else "failed"
                job.error = f"{launcher} lost it: {why}"
                record_failure(job)
                self._changed(job)


def _environment(where: Place) -> dict[str, str | None]:
    """What a run's process must have, whatever its launcher has made of the sweep's."""
    if not where.on_cluster:  # and the slots say what is whose
        return {name: os.environ.get(name) for name in (*THREADS, "CUDA_VISIBLE_DEVICES")}
    return dict.fromkeys(THREADS, str(where.threads)) if where.threads else {}


def _running(launch_dir: Path) -> bool:
    for file in launch_dir.glob("[0-9]*.json"):
        with suppress(OSError, ValueError):
            if read_json(file)["state"] == "running":
                return True
    return False


def main() -> None:
    """Start the launcher that a line of stdin asks for; stop its runs when stdin ends.

    Those that wait for a place, in a queue or on a cluster, are not waited for.
    """
    request = json.loads(sys.stdin.readline())
    launch_dir = Path(request["launch_dir"])

    def listen() -> None:
        os.read(sys.stdin.fileno(), 1)  # not of sys.stdin, whose lock Python needs to exit
        (launch_dir / STOP).touch()
        idle = 0.0
        while idle < LEAVE_SECONDS:
            time.sleep(LOOK_SECONDS)
            idle = 0.0 if _running(launch_dir) else idle + LOOK_SECONDS
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
    told = [f"{type(error).__name__}: {first_line(error)}" for error in errors]
    write_json(launch_dir / ENDINGS, {"returned": returned, "errors": told}, indent=None)


if __name__ == "__main__":
    main()
