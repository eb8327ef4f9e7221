"""A sweep as its ``sweep.json`` keeps it."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dlrun import __version__
from dlrun.errors import DlrunError
from dlrun.runs.directory import LOCK, lock, plan_run_path
from dlrun.sweeps.plan import (
    SWEEP_FILE,
    WORKERS,
    Job,
    Plan,
    checked,
    completed,
    plan,
    recorded,
)
from dlrun.sweeps.search import NAMES, Search, Settings
from dlrun.system.files import read_json, write_json
from dlrun.workers.key import ProcessKey

log = logging.getLogger("dlrun")

WAIT_SECONDS = 30.0  # longer than a worker has for its batch when its sweep is gone


class Sweep:
    """What a sweep runs, and what has become of it.

    Args:
        plan: Its jobs.
        search: What asks for more of them; None where all are known.
        kept: What of its record does not change: ``overrides``, ``started`` and ``jobs``.
        new: Whether it has no directory yet.
    """

    def __init__(
        self, plan: Plan, search: Search | None, kept: dict[str, Any], *, new: bool
    ) -> None:
        self.plan = plan
        self.search = search
        self.kept = kept
        self._new = new

    @property
    def directory(self) -> Path:
        """Where it is."""
        return self.plan.directory

    @property
    def runs(self) -> int:
        """How many runs it has when it is done."""
        return self.search.settings.trials if self.search else len(self.plan.jobs)

    @property
    def expected(self) -> Sequence[Job]:
        """Its jobs, or such as a search will ask for."""
        return self.search.tried if self.search else self.plan.jobs

    def left(self) -> list[Job]:
        """What is to be run; a trial that failed has told the study so, and stays what it is."""
        ended = ("completed", "failed") if self.search else ("completed",)
        return [job for job in self.plan.jobs if job.state not in ended]

    def told(self, *, ended: bool = False) -> dict[str, Any]:
        """What ``dlrun sweep --json`` prints; at its end, of its whole study too."""
        jobs, monitor = self.plan.jobs, self.plan.monitor
        done = [job for job in jobs if job.state == "completed"]
        ranked = self.plan.ranked()
        best = next((job for job in ranked if not job.pruned), None)
        return {
            "sweep_dir": str(self.directory),
            "completed": sum(not job.pruned for job in done),
            "pruned": sum(job.pruned for job in done),
            "failed": sum(job.state == "failed" for job in jobs),
            "keys": list(self.plan.keys),
            "monitor": monitor,
            "runs": [job.told() for job in jobs],
            "ranking": [{**job.told(), "value": job.value(monitor)} for job in ranked],
            "best": best.told() if best else None,
            **({"search": self.search.told(opened=ended)} if self.search else {}),
        }

    def write(self) -> None:
        """Write ``sweep.json``, whole or not at all."""
        now = self.told()
        runs = [
            {"number": job.number, "key": list(job.key), "epochs_planned": job.epochs, **run}
            for job, run in zip(self.plan.jobs, now["runs"], strict=True)
        ]
        text = {
            **self.kept,
            "dlrun": __version__,
            **{key: now[key] for key in ("keys", "monitor", "best")},
            "mode": self.plan.mode,
            **({"search": self.search.recorded()} if self.search else {}),
            "runs": runs,
            "ranking": [run["run_dir"] for run in now["ranking"]],
        }
        write_json(self.directory / SWEEP_FILE, text, indent=1)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the one process that runs it.

        Raises:
            DlrunError: If another does, or the directory can't be written.
        """
        if self.search and self.search.settings.storage:
            self.search.open()  # before there is a directory: it may be a study of something else
        try:
            (self.directory / WORKERS).mkdir(parents=True, exist_ok=not self._new)
            with lock(self.directory):
                if not self._new:
                    _wait(self.plan)
                    _settle(self.plan)
                self.write()
                log.info("sweep  %s, %d runs", self.directory, self.runs)
                yield
        except OSError as error:
            raise DlrunError(
                f"can't write to {self.directory}: {error.strerror or error}",
                hint="choose another place with runs_dir=PATH",
                exit_code=1,
            ) from error


def new(
    overrides: Sequence[str],
    search: Mapping[str, Any] | None,
    runs_dir: Path | None,
    where: Mapping[str, Any],
) -> Sweep:
    """A sweep that is to be.

    Raises:
        DlrunError: If the config of a run is wrong.
    """
    kept = {"overrides": list(overrides), "started": time.strftime("%Y-%m-%dT%H:%M:%S%z")}
    if search is None:
        return Sweep(plan(overrides, runs_dir=runs_dir, **where), None, kept, new=True)
    directory = plan_run_path(runs_dir or Path("runs"), "sweeps")
    searched = Search(Settings.of(search), overrides, directory, **where)
    return Sweep(searched.plan, searched, {**kept, "overrides": searched.overrides}, new=True)


def earlier(directory: Path, search: Mapping[str, Any], where: Mapping[str, Any]) -> Sweep:
    """A sweep that has been, with what has become of its runs.

    Raises:
        DlrunError: If it is none, or the config of a run that is left is wrong by now.
    """
    path = directory / SWEEP_FILE
    try:
        record = read_json(path)
    except (OSError, ValueError) as error:
        raise DlrunError(
            f"{path} can't be read: {error}", hint="--resume takes the directory of a sweep"
        ) from error
    planned = recorded(record, directory)
    _settle(planned)
    kept = {key: record.get(key) for key in ("overrides", "started", "jobs")}
    if (had := record.get("search")) is None:
        if search:
            raise DlrunError(f"{directory} is no search: --trials has no meaning for it")
        for job in planned.jobs:
            if job.state != "completed":
                config = checked(job.overrides, recorded=True, **where)
                job.key, job.epochs = ProcessKey.of(config), config.epochs
        return Sweep(planned, None, kept, new=False)
    for job, run in zip(planned.jobs, record["runs"], strict=True):
        if job.state != "completed" and run.get("status") == "failed":
            job.state, job.error = "failed", run.get("error")
    settings = Settings.of({**{key: had.get(key) for key in NAMES}, **search})
    typed = [str(line) for line in record["overrides"]]
    searched = Search(settings, typed, directory, planned.jobs, recorded=True, **where)
    return Sweep(searched.plan, searched, kept, new=False)


def _settle(planned: Plan) -> None:
    """Take what has been completed by now."""
    for job in planned.jobs:
        if done := completed(job.path):
            job.state, job.result = "completed", done


def _wait(planned: Plan) -> None:
    """For runs of a sweep that was killed, which end at the end of their batch.

    Raises:
        DlrunError: If one does not.
    """
    until = time.monotonic() + WAIT_SECONDS
    for job in planned.jobs:
        while (job.path / LOCK).exists():
            try:
                with lock(job.path):
                    break
            except DlrunError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.2)
