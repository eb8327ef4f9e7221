"""``dlrun sweep``: train the runs of several values, or of a search."""

from __future__ import annotations

import logging
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
from dlrun.sweeps.request import SweepRequest
from dlrun.sweeps.slots import choose_slots, on_gpus
from dlrun.sweeps.sweep_file import Sweep, load_sweep, new_sweep
from dlrun.system import process, signals
from dlrun.system.files import is_dir, write_text

if TYPE_CHECKING:
    from dlrun.sweeps.search import Search

log = logging.getLogger("dlrun")

RUNS = Path("runs")  # where --resume looks for a name


def sweep(request: SweepRequest) -> dict[str, Any]:
    """Run every combination of the typed values, or a search.

    Args:
        request: What to run, and how.

    Returns:
        The result, as ``dlrun sweep --json`` prints it, with ``missed``, what failed of the limits.

    Raises:
        DlrunError: If a run's config is wrong, or the directory can't be written.
        RunInterrupted: If a signal stopped the sweep; ``resume`` continues it.
    """
    _check_options(request)
    current = _open_new(request) if request.resume is None else _open_earlier(request)
    current.metadata["keep"] = request.keep or current.metadata.get("keep") or ALL
    if request.again is not None:
        choose_again(current.plan, request.again)
    if current.search:
        _check_search(current.search, current.metadata["keep"], request.launcher)
    limits = parse_limits(request.fail_under, request.fail_over, current.plan.metrics)
    if request.dry_run:
        return current.to_dict()
    if request.resume is None and (url := url_for(current.directory)):
        check_place(Path(url).parent)
    result = _train_remaining(current, _rules(current, request), request)
    return result | ({"missed": missed_limits(limits, result)} if limits else {})


def _check_options(request: SweepRequest) -> None:
    """Check what is known to be wrong before any config is composed."""
    if request.launcher is not None:
        from dlrun.config.sweeps import launcher_options

        launcher_options.check(request.launcher, request.launcher_options)
    elif request.launcher_options:
        raise DlrunError("--launcher-option requires --launcher")
    if request.keep is not None:
        parse_keep(request.keep)
    if request.vectorize and (request.search is not None or request.launcher):
        raise DlrunError(
            "--vectorize trains runs that are known beforehand in its own processes: it can't be"
            f" used with {'--launcher' if request.launcher else 'a search'}",
            hint="leave one of them out",
        )
    if request.resume is None and request.again is not None:
        raise DlrunError("--again requires --resume SWEEP_DIR")


def _open_new(request: SweepRequest) -> Sweep:
    current = new_sweep(
        request.overrides,
        request.search,
        request.runs_dir,
        request.project,
        needed=request.needed,
        runs_file=request.runs_file,
        vectorize=request.vectorize,
    )
    current.metadata["vectorize"] = request.vectorize
    return current


def _open_earlier(request: SweepRequest) -> Sweep:
    """The sweep to resume: of a directory or its URL, a name or an id in ``runs``, or ``latest``.

    Raises:
        DlrunError: If there is none, or an option is only for a new one.
    """
    directory = request.resume
    assert directory is not None
    if url_of(directory):
        directory = fetch_run(str(directory), is_locked)
    elif not is_dir(directory):
        directory = find_sweep(str(directory), RUNS, latest=True) or directory
    of_a_new_one = {
        "overrides: the sweep keeps its own": request.overrides,
        "--runs-dir: the sweep stays where it is": request.runs_dir,
        "--runs: the sweep keeps its own runs": request.runs_file,
        "--needed: it trains what is left": request.needed,
    }
    if wrong := next((what for what, value in of_a_new_one.items() if value), None):
        raise DlrunError(f"--resume takes no {wrong}")
    refuse_writers(directory)
    return load_sweep(directory, request.search or {}, request.project, vectorize=request.vectorize)


def _rules(current: Sweep, request: SweepRequest) -> Rules:
    """How the runs are spread over processes."""
    jobs = request.jobs
    if request.resume is not None:  # the same cores per run, and so the same numbers
        jobs = jobs or current.metadata["jobs"]
    slots = min(choose_slots(current.expected, jobs), current.runs)
    current.metadata["jobs"] = slots
    limit = request.memory_limit
    rules = Rules(
        slots,
        request.timeout_seconds,
        request.retries,
        request.fail_fast,
        limit * 1e9 if limit else process.total_memory_bytes() * 0.6 / slots,
        request.project,
        typed=request.resume is None,
        devices=max((job.key.devices for job in current.expected), default=1),
        vectorize=current.metadata["vectorize"],
    )
    if rules.vectorize and not on_gpus(current.expected):
        log.warning("--vectorize is for accelerators: on CPUs, runs one by one take less time")
    return rules


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


def _train_remaining(current: Sweep, rules: Rules, request: SweepRequest) -> dict[str, Any]:
    """Train what is left, and write the leaderboard; returns the sweep's result.

    Raises:
        RunInterrupted: If a signal stopped the sweep.
    """
    search = current.search
    with (
        current.lock(),
        mirroring(current.directory, is_locked),
        Board(current.runs, current.plan.monitor, shown=not request.quiet) as board,
    ):
        if reused := sum(job.reused is not None for job in current.plan.jobs):
            log.info("done   %d equal runs have completed, and are not trained again", reused)
        keeper = Keeper(
            current.metadata["keep"],
            current.plan,
            repeats_of(current.plan, search.repeats if search else None),
            search.front if search and search.objectives else None,
        )
        stopped = _run(current, board, rules, request, keeper)
        current.write()
        result = current.to_dict(study=True)
        write_text(current.directory / LEADERBOARD, leaderboard_csv(result))
    if stopped:
        again = typed_path(current.directory)
        log.warning("interrupted; resume with: dlrun sweep --resume %s", again)
        raise RunInterrupted(stopped[0])
    return result


def _run(
    current: Sweep, board: Board, rules: Rules, request: SweepRequest, keeper: Keeper
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
    if request.launcher is None:
        pool = Pool(rules, directory / WORKERS, on_change, search.should_prune if search else None)
        with signals.record_signals(pool.stop) as stopped:
            pool.run(current.remaining(), search)
    else:
        from dlrun.sweeps.launcher_process import LauncherPool

        launcher_pool = LauncherPool(
            request.launcher, request.launcher_options, rules, directory, on_change
        )
        with signals.record_signals(launcher_pool.stop) as stopped:
            launcher_pool.run(current.remaining())
    return stopped
