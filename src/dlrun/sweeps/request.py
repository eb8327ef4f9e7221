"""The request for a sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlrun.config.project import HERE, Project


@dataclass(frozen=True, kw_only=True)
class SweepRequest:
    """A sweep to run, new or resumed.

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
        launcher: One of :data:`dlrun.config.sweeps.launcher_options.LAUNCHERS`, which starts each
            run in a new process; None for reused workers.
        launcher_options: As ``key=value``.
        runs_dir: The sweep is written to its ``sweeps/``; None for ``runs_dir`` of the config.
        project: The user's own options, and what is trusted.
        quiet: Report no progress.
    """

    overrides: Sequence[str] = ()
    jobs: int | None = None
    timeout_seconds: float | None = None
    memory_limit: float | None = None
    retries: int = 0
    fail_fast: bool = False
    dry_run: bool = False
    resume: Path | None = None
    runs_file: Path | None = None
    needed: bool = False
    vectorize: bool = False
    keep: str | None = None
    again: str | None = None
    fail_under: Sequence[str] = ()
    fail_over: Sequence[str] = ()
    search: Mapping[str, Any] | None = None
    launcher: str | None = None
    launcher_options: Sequence[str] = ()
    runs_dir: Path | None = None
    project: Project = HERE
    quiet: bool = False
