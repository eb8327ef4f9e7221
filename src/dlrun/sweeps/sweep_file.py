"""A sweep and its ``sweep.json``."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from dlrun import __version__
from dlrun.config.project import Project
from dlrun.config.sweeps.compose_many import Composer
from dlrun.config.sweeps.repeats import write_out
from dlrun.config.sweeps.run_list import read_runs
from dlrun.errors import DlrunError, counted
from dlrun.remote.places import typed_path
from dlrun.runs.directory import LOCK, SWEEP_FILE, lock
from dlrun.runs.resumed import resumed_with
from dlrun.sweeps.jobs import WORKERS, Job, Plan, read_plan
from dlrun.sweeps.keep import ALL, dropped_entry
from dlrun.sweeps.plan import completed_record, compose_run, plan, result_of
from dlrun.sweeps.repeats import repeat_results
from dlrun.sweeps.search import Search
from dlrun.sweeps.search_options import NAMES, Settings
from dlrun.system.files import exists, is_file, read_json, write_json
from dlrun.workers.key import ProcessKey

log = logging.getLogger("dlrun")

WAIT_SECONDS = 30.0  # longer than the grace period of a worker whose sweep is gone


class Sweep:
    """The jobs of a sweep and their states.

    Args:
        plan: Its jobs.
        search: The source of further jobs; None if all are known.
        metadata: The constant part of its record: ``overrides``, ``started`` and ``jobs``.
        new: Whether its directory does not exist yet.
    """

    def __init__(
        self, plan: Plan, search: Search | None, metadata: dict[str, Any], *, new: bool
    ) -> None:
        self.plan = plan
        self.search = search
        self.metadata = metadata
        self._new = new

    @property
    def directory(self) -> Path:
        """The sweep's directory."""
        return self.plan.directory

    @property
    def runs(self) -> int:
        """The number of runs when the sweep is done."""
        return self.search.runs if self.search else len(self.plan.jobs)

    @property
    def expected(self) -> Sequence[Job]:
        """Its jobs; for a search, jobs at the bounds of its space."""
        return self.search.bounds if self.search else self.plan.jobs

    def remaining(self) -> list[Job]:
        """The jobs to run. Failed trials are not repeated: the study has recorded them."""
        ended = ("completed", "failed") if self.search else ("completed",)
        return [job for job in self.plan.jobs if job.state not in ended]

    def to_dict(self, *, study: bool = False) -> dict[str, Any]:
        """The output of ``dlrun sweep --json``; with ``study``, also the study's best trial."""
        jobs, monitor = self.plan.jobs, self.plan.monitor
        done = [job for job in jobs if job.state == "completed"]
        ranked = self.plan.ranking()
        best = ranked[0] if ranked else None
        repeats = repeat_results(ranked, self.plan.keys, monitor, self.plan.mode)
        return {
            "sweep_dir": str(self.directory),
            "completed": sum(not job.pruned for job in done),
            "pruned": sum(job.pruned for job in done),
            "failed": sum(job.state == "failed" for job in jobs),
            "keys": list(self.plan.keys),
            "monitor": monitor,
            "runs": [job.to_dict() for job in jobs],
            "ranking": [{**job.to_dict(), "value": job.value(monitor)} for job in ranked],
            "best": best.to_dict() if best else None,
            **({"repeats": repeats} if repeats else {}),
            **dropped_entry(self.plan),
            **({"search": self.search.to_dict(study=study)} if self.search else {}),
            **(self.search.pareto() if self.search else {}),
        }

    def write(self) -> None:
        """Write ``sweep.json`` atomically."""
        result = self.to_dict()
        runs = [
            {"number": job.number, "key": list(job.key), "epochs_planned": job.epochs, **run}
            # The directory that it would have: a reused run lies elsewhere.
            | ({"run_dir": str(job.path), "reused": str(job.reused)} if job.reused else {})
            for job, run in zip(self.plan.jobs, result["runs"], strict=True)
        ]
        content = {
            **self.metadata,
            "dlrun": __version__,
            **{key: result[key] for key in ("keys", "monitor", "best")},
            "mode": self.plan.mode,
            "runs_planned": self.runs,
            **({"search": self.search.settings_dict()} if self.search else {}),
            "runs": runs,
            "ranking": [run["run_dir"] for run in result["ranking"]],
            **({"pareto": result["pareto"]} if "pareto" in result else {}),
        }
        write_json(self.directory / SWEEP_FILE, content, indent=1)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Lock the sweep for this process.

        Raises:
            DlrunError: If another process runs it, or the directory can't be written.
        """
        if self.search and self.search.settings.storage and self._new:
            self.search.open()  # before there is a directory: a study that others share may not fit
        try:
            (self.directory / WORKERS).mkdir(parents=True, exist_ok=not self._new)
            with lock(self.directory):
                if not self._new:
                    if self.search:
                        self.search.open()  # before the record is written: it may be lost
                    _wait_for_runs(self.plan)
                    _update_completed(self.plan)
                self.write()
                log.info("sweep  %s, %s", self.directory, counted(self.runs, "run"))
                yield
        except OSError as error:
            raise DlrunError(
                f"can't write to {self.directory}: {error.strerror or error}",
                hint="choose another place with runs_dir=PATH",
                exit_code=1,
            ) from error


def new_sweep(
    overrides: Sequence[str],
    search: Mapping[str, Any] | None,
    runs_dir: Path | None,
    project: Project,
    *,
    needed: bool = False,
    runs_file: Path | None = None,
    vectorize: bool = False,
) -> Sweep:
    """Create a sweep; nothing is written yet.

    Args:
        overrides: As typed.
        search: The options of a search; None for every combination.
        runs_dir: The directory lies in its ``sweeps/``; None for ``runs_dir`` of the config.
        project: The user's own options, and what is trusted.
        needed: Take the results of equal runs that have completed.
        runs_file: A file with the overrides of each run; None for every combination.
        vectorize: Whether runs are to train in one program.

    Raises:
        DlrunError: If the config of a run is wrong.
    """
    overrides = write_out(overrides, project=project)
    metadata = {"overrides": overrides, "started": time.strftime("%Y-%m-%dT%H:%M:%S%z")}
    if search is None:
        listed = read_runs(runs_file) if runs_file else None
        if runs_file:
            metadata["runs_file"] = str(runs_file)
        planned = plan(
            overrides,
            runs_dir=runs_dir,
            project=project,
            needed=needed,
            listed=listed,
            vectorize=vectorize,
        )
        return Sweep(planned, None, metadata, new=True)
    if runs_file:
        raise DlrunError("--runs lists the runs, and a search chooses them; leave out one of them")
    if needed:
        raise DlrunError("--needed: a search chooses its values as it goes; leave out one of them")
    job_source = Search(Settings.of(search), overrides, None, runs_dir=runs_dir, project=project)
    metadata["overrides"] = job_source.overrides
    return Sweep(job_source.plan, job_source, metadata, new=True)


def load_sweep(
    directory: Path, search: Mapping[str, Any], project: Project, *, vectorize: bool = False
) -> Sweep:
    """Load an earlier sweep, with the current states of its runs.

    Args:
        directory: The sweep's directory.
        search: The options of a search that were typed, in place of those of the record.
        project: The user's own options, and what is trusted.
        vectorize: Whether runs are to train in one program; true if the record says so.

    Raises:
        DlrunError: If it is not a sweep, or the config of a remaining run is wrong by now.
    """
    path = directory / SWEEP_FILE
    try:
        record = read_json(path)
    except FileNotFoundError as error:
        above = is_file(directory.parent / SWEEP_FILE)
        hint = (
            f"--resume {typed_path(directory.parent)}"
            if above
            else "'dlrun runs --tree' shows sweeps"
        )
        raise DlrunError(f"there is no sweep at {directory}", hint=hint) from error
    except (OSError, ValueError) as error:
        raise DlrunError(
            f"{path} can't be read: {error}", hint="give --resume the directory of a sweep"
        ) from error
    planned = read_plan(record, directory)
    _update_completed(planned)
    metadata = {key: record.get(key) for key in ("overrides", "started", "jobs")}
    metadata["keep"] = str(record.get("keep") or ALL)
    metadata["vectorize"] = vectorize = vectorize or record.get("vectorize") is True
    if "runs_file" in record:
        metadata["runs_file"] = str(record["runs_file"])
    if (saved := record.get("search")) is None:
        if search:
            raise DlrunError(f"{directory} is not a search, so --trials can't be used")
        compose = Composer(
            partial(compose_run, project=project, recorded=True, vectorize=vectorize)
        )
        for job in planned.jobs:
            if job.state != "completed":
                config = compose(job.overrides)
                job.key, job.epochs = ProcessKey.of(config), config.planned_epochs
        return Sweep(planned, None, metadata, new=False)
    for job, run in zip(planned.jobs, record["runs"], strict=True):
        if job.state != "completed" and run.get("status") == "failed":
            job.state, job.error = "failed", run.get("error")
    settings = Settings.of({**{key: saved.get(key) for key in NAMES}, **search})
    began = len({job.trial for job in planned.jobs})
    if "trials" in search and settings.trials < began:
        raise DlrunError(
            f"--trials {settings.trials}: the search has {began} already, and keeps them",
            hint=f"--trials is the number of all, such as {began + settings.trials}",
        )
    typed = [str(line) for line in record["overrides"]]
    job_source = Search(settings, typed, directory, planned.jobs, project=project, recorded=True)
    return Sweep(job_source.plan, job_source, metadata, new=False)


def _update_completed(planned: Plan) -> None:
    """Update the jobs that have completed since."""
    for job in planned.jobs:
        if not job.earlier and (record := completed_record(job.reused or job.path)):
            job.state, job.result = "completed", result_of(record)
            if not job.reused:
                job.dropped, job.resumed = record.get("dropped") is True, resumed_with(record)


def _wait_for_runs(planned: Plan) -> None:
    """Wait for the runs of a killed sweep, which stop at the end of their batch.

    Raises:
        DlrunError: If one does not stop in time.
    """
    deadline = time.monotonic() + WAIT_SECONDS
    for job in planned.jobs:
        while exists(job.path / LOCK):
            try:
                with lock(job.path):
                    break
            except DlrunError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
