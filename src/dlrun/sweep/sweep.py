"""``dlrun sweep``: the runs of several values, each on its own, and none lost."""

from __future__ import annotations

import json
import logging
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from dlrun import __version__, process, run_dir
from dlrun.errors import DlrunError, Interrupted
from dlrun.files import read_json, write_text
from dlrun.report.sweep import Board, leaderboard_csv
from dlrun.sweep.plan import Job, Key, Plan, checked, completed, plan, recorded
from dlrun.sweep.pool import Pool, Rules

log = logging.getLogger("dlrun")

RECORD, LEADERBOARD, WORKERS = "sweep.json", "leaderboard.csv", "workers"
WAIT_SECONDS = 30.0  # longer than a worker has for its batch when its sweep is gone


def sweep(
    overrides: Sequence[str],
    *,
    jobs: int | None = None,
    timeout_seconds: float | None = None,
    memory_limit: float | None = None,
    retries: int = 0,
    fail_fast: bool = False,
    dry_run: bool = False,
    resume: Path | None = None,
    runs_dir: Path | None = None,
    config_dir: Path | None = None,
    trusted: Sequence[str] = (),
    quiet: bool = False,
) -> dict[str, Any]:
    """Run every combination of the values that are typed.

    Args:
        overrides: In Hydra's grammar, several values included.
        jobs: How many run at once; None for as many as there are cores, or GPUs where they are
            asked for, and for as many as before where a sweep is resumed.
        timeout_seconds: For one run.
        memory_limit: In GB: a process that holds more when its run has ended is replaced. None
            for its share of three fifths of this machine's.
        retries: How often a run that fails is tried again.
        fail_fast: Stop all when one fails.
        dry_run: Only tell what would run.
        resume: An earlier sweep's directory: what it has not completed is run, or goes on.
        runs_dir: The sweep goes to ``sweeps/`` in it; None for the runs' own ``runs_dir``.
        config_dir: The user's own options.
        trusted: As for :func:`dlrun.train.train`.
        quiet: Tell nothing of each run.

    Returns:
        The result, as ``dlrun sweep --json`` prints it.

    Raises:
        DlrunError: If a run's config is wrong, or the directory can't be written.
        Interrupted: If a signal stopped the sweep; its runs are as ``resume`` needs them.
    """
    told: dict[str, Any]
    if resume is None:
        planned = plan(overrides, runs_dir=runs_dir, config_dir=config_dir, trusted=trusted)
        told = {"overrides": list(overrides), "started": time.strftime("%Y-%m-%dT%H:%M:%S%z")}
    else:
        if overrides:
            raise DlrunError("--resume takes no overrides: the sweep has its own")
        planned, told = _recorded(resume, config_dir, trusted)
        jobs = jobs or told["jobs"]  # as many cores each, and so the same numbers
    if dry_run:
        return _told(planned)
    slots = min(jobs or _slots(planned), len(planned.jobs))
    rules = Rules(
        slots,
        timeout_seconds,
        retries,
        fail_fast,
        memory_limit * 1e9 if memory_limit else process.total_memory_bytes() * 0.6 / slots,
        config_dir.resolve() if config_dir else None,
        trusted,
        typed=resume is None,
    )
    directory = planned.directory
    with _locked(planned, told | {"jobs": slots}, new=resume is None) as record:
        left = [job for job in planned.jobs if job.state != "completed"]
        with Board(len(planned.jobs), planned.monitor, shown=not quiet) as board:
            for job in planned.jobs:
                board.add(job.number, job.label, job.epochs, job.state)

            def changed(job: Job) -> None:
                board.show(job.number, job.state, job.logs, job.told())
                if job.state not in ("pending", "running"):
                    record()

            pool = Pool(rules, directory / WORKERS, changed)
            with _listening(pool) as stopped:
                pool.run(left)
        record()
        write_text(directory / LEADERBOARD, leaderboard_csv(_told(planned)))
    if stopped:
        log.warning("interrupted; go on with  dlrun sweep --resume %s", directory)
        raise Interrupted(stopped[0])
    return _told(planned)


def _slots(planned: Plan) -> int:
    """As many as there are cores; on GPUs, as many as there are of these."""
    from dlrun.sweep.workers import visible_gpus

    gpus = len(visible_gpus())
    on_gpus = all(job.key.device.startswith(("gpu", "auto")) for job in planned.jobs)
    return gpus if gpus and on_gpus else process.cores()


def _recorded(
    directory: Path, config_dir: Path | None, trusted: Sequence[str]
) -> tuple[Plan, dict[str, Any]]:
    """The plan of an earlier sweep, and what its record tells that this one keeps."""
    path = directory / RECORD
    try:
        record = read_json(path)
    except (OSError, ValueError) as error:
        raise DlrunError(
            f"{path} can't be read: {error}", hint="--resume takes the directory of a sweep"
        ) from error
    planned = recorded(record, directory)
    _settle(planned)
    for job in planned.jobs:
        if job.state != "completed":
            config = checked(job.overrides, config_dir=config_dir, trusted=trusted, recorded=True)
            job.key, job.epochs = Key.of(config), config.epochs
    return planned, {key: record.get(key) for key in ("overrides", "started", "jobs")}


def _settle(planned: Plan) -> None:
    """Take what has been completed by now."""
    for job in planned.jobs:
        if done := completed(job.path):
            job.state, job.result = "completed", done


def _told(planned: Plan) -> dict[str, Any]:
    best = planned.ranked()
    states = [job.state for job in planned.jobs]
    return {
        "sweep_dir": str(planned.directory),
        "completed": states.count("completed"),
        "failed": states.count("failed"),
        "keys": list(planned.keys),
        "monitor": planned.monitor,
        "runs": [job.told() for job in planned.jobs],
        "ranking": [{**job.told(), "value": job.value(planned.monitor)} for job in best],
        "best": best[0].told() if best else None,
    }


@contextmanager
def _locked(planned: Plan, told: dict[str, Any], *, new: bool) -> Iterator[Callable[[], None]]:
    """Write ``sweep.json``, and again at each change; one process at a time may."""
    directory = planned.directory

    def record() -> None:
        now = _told(planned)
        runs = [
            {"number": job.number, "key": list(job.key), "epochs_planned": job.epochs, **run}
            for job, run in zip(planned.jobs, now["runs"], strict=True)
        ]
        kept = {key: now[key] for key in ("keys", "monitor", "best")}
        ranking = [run["run_dir"] for run in now["ranking"]]
        text = {**told, "dlrun": __version__, **kept, "mode": planned.mode, "runs": runs}
        write_text(directory / RECORD, json.dumps({**text, "ranking": ranking}, indent=1) + "\n")

    try:
        (directory / WORKERS).mkdir(parents=True, exist_ok=not new)
        with run_dir.RunDir(directory, {}).locked():
            if not new:
                _wait(planned)
                _settle(planned)
            record()
            log.info("sweep  %s, %d runs", directory, len(planned.jobs))
            yield record
    except OSError as error:
        raise DlrunError(
            f"can't write to {directory}: {error.strerror or error}",
            hint="choose another place with runs_dir=PATH",
            exit_code=1,
        ) from error


def _wait(planned: Plan) -> None:
    """For runs of a sweep that was killed, which end at the end of their batch.

    Raises:
        DlrunError: If one does not.
    """
    until = time.monotonic() + WAIT_SECONDS
    for job in planned.jobs:
        while (job.path / run_dir.LOCK).exists():
            try:
                with run_dir.RunDir(job.path, {}).locked():
                    break
            except DlrunError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.2)


@contextmanager
def _listening(pool: Pool) -> Iterator[list[int]]:
    """Turn the first SIGINT or SIGTERM into a request to stop; a second one ends the process."""
    heard: list[int] = []

    def note(signum: int, frame: FrameType | None) -> None:
        if heard:
            signal.signal(signum, signal.SIG_DFL)
            os.kill(os.getpid(), signum)
        heard.append(signum)
        pool.stop()

    before = {signum: signal.signal(signum, note) for signum in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield heard
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
