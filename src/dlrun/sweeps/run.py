"""``dlrun sweep``: the runs of several values, each on its own, and none lost."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dlrun.errors import DlrunError, Interrupted
from dlrun.report.sweep import Board, leaderboard_csv
from dlrun.sweeps.plan import LEADERBOARD, WORKERS, Job
from dlrun.sweeps.pool import Pool, Rules
from dlrun.sweeps.sweep_file import Sweep, earlier, new
from dlrun.system import process, signals
from dlrun.system.files import write_text

log = logging.getLogger("dlrun")


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
    search: Mapping[str, Any] | None = None,
    launcher: str | None = None,
    launcher_options: Sequence[str] = (),
    runs_dir: Path | None = None,
    config_dir: Path | None = None,
    trusted: Sequence[str] = (),
    quiet: bool = False,
) -> dict[str, Any]:
    """Run every combination of the values that are typed.

    Args:
        overrides: In Hydra's grammar, several values included.
        jobs: How many run at once; None for as many as there are cores, or GPUs where they are
            asked for.
        timeout_seconds: For one run.
        memory_limit: In GB: a process that holds more when its run has ended is replaced. None
            for its share of the machine.
        retries: How often a run that fails is tried again.
        fail_fast: Stop all when one fails.
        dry_run: Only tell what would run.
        resume: An earlier sweep's directory: what it has not completed is run, or goes on.
        search: What is asked of a search, by the names of :class:`dlrun.sweeps.search.Settings`;
            None for every combination.
        launcher: Of :data:`dlrun.config.sweeps.launchers.LAUNCHERS`, which starts each run
            in a process of its own; None for warm workers.
        launcher_options: As ``key=value``.
        runs_dir: The sweep goes to ``sweeps/`` in it; None for the runs' own ``runs_dir``.
        config_dir: The user's own options.
        trusted: As for :func:`dlrun.api.train.train`.
        quiet: Tell nothing of each run.

    Returns:
        The result, as ``dlrun sweep --json`` prints it.

    Raises:
        DlrunError: If a run's config is wrong, or the directory can't be written.
        Interrupted: If a signal stopped the sweep; its runs are as ``resume`` needs them.
    """
    if launcher is not None:
        from dlrun.config.sweeps import launchers

        launchers.check(launcher, launcher_options)
    elif launcher_options:
        raise DlrunError("--launcher-option needs a --launcher")
    where: dict[str, Any] = {"config_dir": config_dir, "trusted": trusted}
    if resume is None:
        swept = new(overrides, search, runs_dir, where)
    elif overrides:
        raise DlrunError("--resume takes no overrides: the sweep has its own")
    else:
        swept = earlier(resume, search or {}, where)
        jobs = jobs or swept.kept["jobs"]  # as many cores each, and so the same numbers
    if swept.search and launcher:
        raise DlrunError(
            "a search asks what to run next, and a launcher is given all runs at once",
            hint="leave out --launcher; processes may share a study, with --storage and --study",
        )
    if dry_run:
        return swept.told()
    slots = min(jobs or _slots(swept.expected), swept.runs)
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
    swept.kept["jobs"] = slots
    with swept.locked(), Board(swept.runs, swept.plan.monitor, shown=not quiet) as board:
        stopped = _run(swept, board, rules, launcher, launcher_options)
        swept.write()
        write_text(swept.directory / LEADERBOARD, leaderboard_csv(swept.told(ended=True)))
    if stopped:
        log.warning("interrupted; go on with  dlrun sweep --resume %s", swept.directory)
        raise Interrupted(stopped[0])
    return swept.told(ended=True)


def _run(
    swept: Sweep, board: Board, rules: Rules, launcher: str | None, options: Sequence[str]
) -> list[int]:
    """Run what is left to run; the signals that stopped it."""
    search = swept.search
    for job in swept.plan.jobs:
        board.add(job.number, job.label, job.epochs, job.state)

    def changed(job: Job) -> None:
        board.show(job.number, job.state, job.logs, job.told())
        if job.state not in ("pending", "running"):
            if search:
                search.tell(job)
            swept.write()

    def asked(job: Job) -> None:
        board.add(job.number, job.label, job.epochs, job.state)
        changed(job)
        swept.write()

    if search:
        search.open()
        search.begin(asked)
    place = swept.directory
    if launcher is None:
        pool = Pool(rules, place / WORKERS, changed, search.pruned if search else None)
        with signals.record_signals(pool.stop) as stopped:
            pool.run(swept.left(), search)
    else:
        from dlrun.sweeps.launcher_process import Launched

        launched = Launched(launcher, options, rules.slots, rules, place, changed)
        with signals.record_signals(launched.stop) as stopped:
            launched.run(swept.left())
    return stopped


def _slots(expected: Sequence[Job]) -> int:
    """As many as there are cores; on GPUs, as many as there are of these."""
    from dlrun.workers.client import visible_gpus

    gpus = len(visible_gpus())
    on_gpus = all(job.key.device.startswith(("gpu", "auto")) for job in expected)
    return gpus if gpus and on_gpus else process.cores()
