"""``dlrun sweep``: train the runs of several values, or of a search."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun.errors import DlrunError, RunInterrupted
from dlrun.remote.fetch import check_place, fetch_run, refuse_writers
from dlrun.remote.mirror import mirroring
from dlrun.remote.places import typed_path, url_for, url_of
from dlrun.report.sweep import Board, leaderboard_csv
from dlrun.runs.locate import find_sweep
from dlrun.runs.resumed import resumed_with
from dlrun.runs.status import is_locked
from dlrun.sweeps.jobs import LEADERBOARD, WORKERS, Job
from dlrun.sweeps.keep import ALL, Keeper, choose_again, compare_again, parse_keep, repeats_of
from dlrun.sweeps.limits import missed_limits, parse_limits
from dlrun.sweeps.plan import completed_record
from dlrun.sweeps.pool import Pool, Rules
from dlrun.sweeps.slots import choose_slots, on_gpus
from dlrun.sweeps.sweep_file import Sweep, load_sweep, new_sweep
from dlrun.system import process, signals
from dlrun.system.files import is_dir, write_text

if TYPE_CHECKING:
    from dlrun.sweeps.search import Search

log = logging.getLogger("dlrun")

RUNS = Path("runs")  # where --resume looks for a name


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
    runs_file: Path | None = None,
    needed: bool = False,
    vectorize: bool = False,
    keep: str | None = None,
    again: str | None = None,
    fail_under: Sequence[str] = (),
    fail_over: Sequence[str] = (),
    search: Mapping[str, Any] | None = None,
    launcher: str | None = None,
    launcher_options: Sequence[str] = (),
    runs_dir: Path | None = None,
    config_dir: Path | None = None,
    trusted: Sequence[str] = (),
    quiet: bool = False,
) -> dict[str, Any]:
    """Run every combination of the typed values, or a search.

    Args:
        overrides: In Hydra's grammar, which allows several values.
        jobs: The number of parallel runs; None for one per core, or per GPU if all runs may use
            GPUs.
        timeout_seconds: Time limit of one run.
        memory_limit: In GB; a process that holds more after a run is replaced. None for its share
            of 60 % of the machine's memory.
        retries: How often to retry a failed run.
        fail_fast: Stop the sweep when a run fails.
        dry_run: Only return what would run.
        resume: The directory of an earlier sweep; its remaining runs are started or resumed.
        runs_file: A CSV, YAML or JSON file with the overrides of each run, see
            :func:`dlrun.config.sweeps.run_list.read_runs`.
        needed: Take the results of equal runs that have completed, and train the others.
        vectorize: Train runs that differ only in seed and learning rate in one program.
        keep: ``all``, ``best``, ``top=3`` or ``none``: whose checkpoints stay. By default those of
            the resumed sweep, else all.
        again: With ``resume``, the numbers of runs to train again whose checkpoints were dropped,
            or ``all``; these stay.
        fail_under: Limits on the mean test metrics of the best setting over its repeats, as
            ``accuracy=0.97``; ``worst.accuracy=0.95`` on the worst of them.
        fail_over: Limits that no value may exceed, as ``loss=0.3``.
        search: The options of a search, by the names of
            :class:`dlrun.sweeps.search_options.Settings`; None for every combination.
        launcher: One of :data:`dlrun.config.sweeps.launchers.LAUNCHERS`, which starts each run in
            a new process; None for reused workers.
        launcher_options: As ``key=value``.
        runs_dir: The sweep is written to its ``sweeps/``; None for ``runs_dir`` of the config.
        config_dir: The user's own options.
        trusted: As for :func:`dlrun.api.train.train`.
        quiet: Report no progress.

    Returns:
        The result, as ``dlrun sweep --json`` prints it, with ``missed``, what failed of the limits.

    Raises:
        DlrunError: If a run's config is wrong, or the directory can't be written.
        Interrupted: If a signal stopped the sweep; ``resume`` continues it.
    """
    _check_options(launcher, launcher_options, keep)
    if vectorize and (search is not None or launcher):
        raise DlrunError(
            "--vectorize trains runs that are known beforehand in its own processes: it can't be"
            f" used with {'--launcher' if launcher else 'a search'}",
            hint="leave one of them out",
        )
    where: dict[str, Any] = {"config_dir": config_dir, "trusted": trusted}
    if resume is None:
        if again is not None:
            raise DlrunError("--again requires --resume SWEEP_DIR")
        new: dict[str, Any] = {"needed": needed, "runs_file": runs_file, "vectorize": vectorize}
        current = new_sweep(overrides, search, runs_dir, where, **new)
        current.metadata["vectorize"] = vectorize
    else:
        given = {
            "overrides: the sweep keeps its own": overrides,
            "--runs-dir: the sweep stays where it is": runs_dir,
            "--runs: the sweep keeps its own runs": runs_file,
            "--needed: it trains what is left": needed,
        }
        current = _open_earlier(resume, given, search or {}, where, vectorize=vectorize)
        jobs = jobs or current.metadata["jobs"]  # the same cores per run, and so the same numbers
    current.metadata["keep"] = keep or current.metadata.get("keep") or ALL
    if again is not None:
        choose_again(current.plan, again)
    if current.search:
        _check_search(current.search, current.metadata["keep"], launcher)
    limits = parse_limits(fail_under, fail_over, current.plan.metrics)
    if dry_run:
        return current.to_dict()
    if resume is None and (url := url_for(current.directory)):
        check_place(Path(url).parent)
    slots = min(choose_slots(current.expected, jobs), current.runs)
    rules = Rules(
        slots,
        timeout_seconds,
        retries,
        fail_fast,
        memory_limit * 1e9 if memory_limit else process.total_memory_bytes() * 0.6 / slots,
        config_dir.resolve() if config_dir else None,
        trusted,
        typed=resume is None,
        devices=max((job.key.devices for job in current.expected), default=1),
        vectorize=current.metadata["vectorize"],
    )
    if rules.vectorize and not on_gpus(current.expected):
        log.warning("--vectorize is for accelerators: on CPUs, runs one by one take less time")
    current.metadata["jobs"] = slots
    result = _train_remaining(current, rules, launcher, launcher_options, quiet=quiet)
    return result | ({"missed": missed_limits(limits, result)} if limits else {})


def _check_options(launcher: str | None, launcher_options: Sequence[str], keep: str | None) -> None:
    """Check what is known to be wrong before any config is composed."""
    if launcher is not None:
        from dlrun.config.sweeps import launchers

        launchers.check(launcher, launcher_options)
    elif launcher_options:
        raise DlrunError("--launcher-option requires --launcher")
    if keep is not None:
        parse_keep(keep)


def _open_earlier(
    directory: Path,
    given: Mapping[str, Any],
    search: Mapping[str, Any],
    where: Mapping[str, Any],
    *,
    vectorize: bool,
) -> Sweep:
    """The sweep to resume.

    Args:
        directory: Its directory, or the URL of one; a name or an id in ``runs``, or ``latest``.
        given: By what is wrong with each, the arguments that only a new sweep takes.
        search: The options of a search that were typed.
        where: As for :func:`dlrun.sweeps.sweep_file.load_sweep`.
        vectorize: See there.
    """
    if url_of(directory):
        directory = fetch_run(str(directory), is_locked)
    elif not is_dir(directory):
        directory = find_sweep(str(directory), RUNS, latest=True) or directory
    if wrong := next((what for what, value in given.items() if value), None):
        raise DlrunError(f"--resume takes no {wrong}")
    refuse_writers(directory)
    return load_sweep(directory, search, where, vectorize=vectorize)


def _check_search(search: Search, keep: str, launcher: str | None) -> None:
    """Refuse what a search can't have."""
    if search.objectives and keep.startswith("top"):
        raise DlrunError(
            f"--keep {keep}: several objectives give no order",
            hint="--keep best, which keeps the runs of the Pareto front",
        )
    if launcher:
        raise DlrunError(
            "a search can't use a launcher, which needs all runs in advance",
            hint="leave out --launcher; several processes may share --storage and --study",
        )


def _train_remaining(
    current: Sweep, rules: Rules, launcher: str | None, options: Sequence[str], *, quiet: bool
) -> dict[str, Any]:
    """Train what is left, and write the leaderboard; returns the sweep's result.

    Raises:
        Interrupted: If a signal stopped the sweep.
    """
    search = current.search
    with (
        current.lock(),
        mirroring(current.directory, is_locked),
        Board(current.runs, current.plan.monitor, shown=not quiet) as board,
    ):
        if reused := sum(job.reused is not None for job in current.plan.jobs):
            log.info("done   %d equal runs have completed, and are not trained again", reused)
        keeper = Keeper(
            current.metadata["keep"],
            current.plan,
            repeats_of(current.plan, search.repeats if search else None),
            search.front if search and search.objectives else None,
        )
        stopped = _run(current, board, rules, launcher, options, keeper)
        current.write()
        result = current.to_dict(study=True)
        write_text(current.directory / LEADERBOARD, leaderboard_csv(result))
    if stopped:
        again = typed_path(current.directory)
        log.warning("interrupted; resume with: dlrun sweep --resume %s", again)
        raise RunInterrupted(stopped[0])
    return result


def _run(
    current: Sweep,
    board: Board,
    rules: Rules,
    launcher: str | None,
    options: Sequence[str],
    keeper: Keeper,
) -> list[int]:
    """Run the remaining jobs; returns the signals that stopped them."""
    search = current.search
    for job in current.plan.jobs:
        board.add(job.number, job.label, job.epochs, job.state)

    def on_change(job: Job) -> None:
        board.show(job.number, job.state, job.logs, job.to_dict(), job.epochs)
        if job.state not in ("pending", "running"):
            if job.state == "completed" and not job.reused:
                # It may have been resumed with other settings before the sweep was.
                job.resumed = resumed_with(completed_record(job.path) or {})
            if search:
                search.tell(job)
            if job.state == "completed" and job.earlier:
                compare_again(job)
            keeper.drop()
            current.write()

    def on_new_job(job: Job) -> None:
        board.add(job.number, job.label, job.epochs, job.state)
        on_change(job)
        current.write()

    keeper.drop()  # also what a killed sweep has not come to
    if search:
        search.open()
        search.begin(on_new_job)
    directory = current.directory
    if launcher is None:
        pool = Pool(rules, directory / WORKERS, on_change, search.should_prune if search else None)
        with signals.record_signals(pool.stop) as stopped:
            pool.run(current.remaining(), search)
    else:
        from dlrun.sweeps.launcher_process import LauncherPool

        launcher_pool = LauncherPool(launcher, options, rules.slots, rules, directory, on_change)
        with signals.record_signals(launcher_pool.stop) as stopped:
            launcher_pool.run(current.remaining())
    return stopped
