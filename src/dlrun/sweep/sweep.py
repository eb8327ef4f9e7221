"""``dlrun sweep``: the runs of several values, each on its own, and none lost."""

from __future__ import annotations

import json
import logging
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from dlrun import __version__, process, run_dir
from dlrun.config import launchers
from dlrun.errors import DlrunError, Interrupted
from dlrun.files import read_json, write_text
from dlrun.report.sweep import Board, leaderboard_csv
from dlrun.sweep.launched import Launched
from dlrun.sweep.plan import LEADERBOARD, RECORD, WORKERS, Job, Plan, plan, recorded
from dlrun.sweep.pool import Pool, Rules
from dlrun.sweep.search import NAMES, Search, Settings

log = logging.getLogger("dlrun")


def sweep(
    overrides: Sequence[str],
    *,
    jobs: int | None = None,
    timeout_seconds: float | None = None,
    retries: int = 0,
    fail_fast: bool = False,
    dry_run: bool = False,
    resume: Path | None = None,
    search: Mapping[str, Any] | None = None,
    launcher: str | None = None,
    launcher_options: Sequence[str] = (),
    runs_dir: Path = Path("runs"),
    config_dir: Path | None = None,
    trusted: Sequence[str] = (),
    quiet: bool = False,
) -> dict[str, Any]:
    """Run every combination of the values that are typed, or search among them.

    Args:
        overrides: In Hydra's grammar, several values included.
        jobs: How many run at once; None for as many as there are cores, or GPUs where they are
            asked for.
        timeout_seconds: For one run.
        retries: How often a run that fails is tried again.
        fail_fast: Stop all when one fails.
        dry_run: Only tell what would run.
        resume: An earlier sweep's directory: what it has not completed is run, or goes on.
        search: What is asked of a search, by the names of :class:`dlrun.sweep.search.Settings`;
            None for every combination.
        launcher: Of :data:`dlrun.config.launchers.LAUNCHERS`, one that runs the runs, each in a
            process of its own; None for warm workers.
        launcher_options: As ``key=value``.
        runs_dir: The sweep goes to ``sweeps/`` in it.
        config_dir: The user's own options.
        trusted: As for :func:`dlrun.train.train`.
        quiet: Tell nothing of each run.

    Returns:
        The result, as ``dlrun sweep --json`` prints it.

    Raises:
        DlrunError: If a run's config is wrong, or the directory can't be written.
        Interrupted: If a signal stopped the sweep; its runs are as ``resume`` needs them.
    """
    if launcher is not None:
        launchers.check(launcher, launcher_options)
    elif launcher_options:
        raise DlrunError("--launcher-option needs a --launcher")
    where: dict[str, Any] = {"config_dir": config_dir, "trusted": trusted}
    searched: Search | None = None
    if resume is not None:
        if overrides:
            raise DlrunError("--resume takes no overrides: the sweep has its own")
        directory = resume
        planned, searched = _recorded(directory, search or {}, where)
    elif search is None:
        directory = run_dir.planned(runs_dir, "sweeps")
        planned = plan(overrides, directory, **where)
    else:
        directory = run_dir.planned(runs_dir, "sweeps")
        searched = Search(Settings.of(search), overrides, directory, **where)
        planned = searched.plan
    if searched and launcher:
        raise DlrunError(
            "a search asks what to run next, and a launcher is given all runs at once",
            hint="leave out --launcher; processes may share a study, with --storage and --study",
        )
    if dry_run:
        return _told(directory, planned, searched)
    if searched and searched.settings.storage:
        searched.open()  # before there is a directory: it may be a study of something else
    runs = searched.settings.trials if searched else len(planned.jobs)
    slots = jobs or _slots(searched.tried if searched else planned.jobs)
    rules = Rules(
        min(slots, runs),
        timeout_seconds,
        retries,
        fail_fast,
        process.total_memory_bytes() * 0.6 / slots,
        config_dir.resolve() if config_dir else None,
        trusted,
    )
    with _locked(directory, planned, overrides, searched, new=resume is None) as record:
        ended = ("completed", "failed") if searched else ("completed",)
        left = [job for job in planned.jobs if job.state not in ended]
        with Board(runs, planned.monitor, shown=not quiet) as board:
            for job in planned.jobs:
                board.add(job.number, job.label, job.epochs, job.state)

            def changed(job: Job) -> None:
                board.show(job.number, job.state, job.logs, job.told())
                if job.state not in ("pending", "running"):
                    if searched:
                        searched.tell(job)
                    record()

            def asked(job: Job) -> None:
                board.add(job.number, job.label, job.epochs, job.state)
                changed(job)
                record()

            if searched:
                searched.open()
                searched.begin(asked)
            pool: Pool | Launched = (
                Pool(rules, directory / WORKERS, changed, searched.pruned if searched else None)
                if launcher is None
                else Launched(launcher, launcher_options, jobs, rules, directory, changed)
            )
            with _listening(pool) as stopped:
                if isinstance(pool, Launched):
                    pool.run(left)
                else:
                    pool.run(left, searched)
        record()
        result = _told(directory, planned, searched, opened=True)
        write_text(directory / LEADERBOARD, leaderboard_csv(result))
    if stopped:
        log.warning("interrupted; go on with  dlrun sweep --resume %s", directory)
        raise Interrupted(stopped[0])
    return result


def _slots(planned: Sequence[Job]) -> int:
    """As many as there are cores; on GPUs, as many as there are of these."""
    from dlrun.sweep.workers import visible_gpus

    gpus = len(visible_gpus())
    on_gpus = all(job.key.device.startswith(("gpu", "auto")) for job in planned)
    return gpus if gpus and on_gpus else process.cores()


def _recorded(
    directory: Path, search: Mapping[str, Any], where: Mapping[str, Any]
) -> tuple[Plan, Search | None]:
    """A sweep that has been, with what has become of its runs, and its search if it was one."""
    path = directory / RECORD
    try:
        record = read_json(path)
    except (OSError, ValueError) as error:
        raise DlrunError(
            f"{path} can't be read: {error}", hint="--resume takes the directory of a sweep"
        ) from error
    planned = recorded(record, directory)
    for job in planned.jobs:
        try:
            told = read_json(job.path / run_dir.RECORD)
        except (OSError, ValueError):
            continue
        if told.get("status") == "completed":
            job.state, job.result = "completed", told
        elif told.get("status") == "failed" and "search" in record:
            job.state, job.error = "failed", told.get("error")
    if (had := record.get("search")) is None:
        if search:
            raise DlrunError(f"{directory} is no search: --trials has no meaning for it")
        return planned, None
    settings = Settings.of({**{key: had.get(key) for key in NAMES}, **search})
    searched = Search(settings, record["overrides"], directory, planned.jobs, **where)
    return searched.plan, searched


def _told(
    directory: Path, planned: Plan, searched: Search | None, *, opened: bool = False
) -> dict[str, Any]:
    runs = [job.told() for job in planned.jobs]
    done = [job for job in planned.jobs if job.state == "completed"]
    ranked = planned.ranked()
    best = next((job for job in ranked if not job.pruned), None)
    return {
        "sweep_dir": str(directory),
        "completed": sum(not job.pruned for job in done),
        "pruned": sum(job.pruned for job in done),
        "failed": sum(job.state == "failed" for job in planned.jobs),
        "keys": list(planned.keys),
        "monitor": planned.monitor,
        "runs": runs,
        "ranking": [{**job.told(), "value": job.value(planned.monitor)} for job in ranked],
        "best": best.told() if best else None,
        **({"search": searched.told(opened=opened)} if searched else {}),
    }


@contextmanager
def _locked(
    directory: Path,
    planned: Plan,
    overrides: Sequence[str],
    searched: Search | None,
    *,
    new: bool,
) -> Iterator[Any]:
    """Write ``sweep.json``, and again at each change; one process at a time may."""
    started = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    if not new:
        before = read_json(directory / RECORD)
        overrides, started = before["overrides"], before["started"]

    def record() -> None:
        told = _told(directory, planned, searched)
        runs = [
            {
                "number": job.number,
                "key": list(job.key),
                "epochs_planned": job.epochs,
                **run,
            }
            for job, run in zip(planned.jobs, told["runs"], strict=True)
        ]
        text = json.dumps(
            {
                "overrides": list(overrides),
                "started": started,
                "dlrun": __version__,
                "keys": list(planned.keys),
                "monitor": planned.monitor,
                "mode": planned.mode,
                **({"search": searched.recorded()} if searched else {}),
                "runs": runs,
                "best": told["best"],
            },
            indent=1,
        )
        write_text(directory / RECORD, text + "\n")

    try:
        (directory / WORKERS).mkdir(parents=True, exist_ok=not new)
        with run_dir.RunDir(directory, {}).locked():
            record()
            runs = searched.settings.trials if searched else len(planned.jobs)
            log.info("sweep  %s, %d runs", directory, runs)
            yield record
    except OSError as error:
        raise DlrunError(
            f"can't write to {directory}: {error.strerror or error}",
            hint="choose another place with --runs-dir PATH",
            exit_code=1,
        ) from error


@contextmanager
def _listening(pool: Pool | Launched) -> Iterator[list[int]]:
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
