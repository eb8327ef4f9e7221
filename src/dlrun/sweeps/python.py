"""``dlrun.sweep``: a sweep from Python, in processes of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlrun.api.guest_call import check_overrides, guest_call
from dlrun.api.run import Run
from dlrun.config.project import Project


class SweepResult:
    """A finished sweep.

    Args:
        result: As ``dlrun sweep --json`` prints it.
        config_dir: As for :func:`sweep`.
        trust: As for :func:`sweep`.
    """

    def __init__(
        self, result: dict[str, Any], *, config_dir: Path | None, trust: Sequence[str]
    ) -> None:
        self.result = result
        self.path = Path(result["sweep_dir"]).absolute()
        self._places = {"config_dir": config_dir, "trust": trust}

    @property
    def runs(self) -> list[Run]:
        """The completed runs, best first."""
        return [self._run(entry) for entry in self.result.get("ranking", ())]

    @property
    def best(self) -> Run | None:
        """The best run; None if none has completed."""
        return self._run(self.result["best"]) if self.result.get("best") else None

    @property
    def repeats(self) -> list[dict[str, Any]]:
        """The settings that are repeated over seeds or folds, the best mean first."""
        return list(self.result.get("repeats", ()))

    @property
    def missed(self) -> list[str]:
        """What failed of the limits."""
        return list(self.result.get("missed", ()))

    @property
    def failed(self) -> int:
        """How many runs failed."""
        return int(self.result["failed"])

    def frame(self) -> Any:
        """The leaderboard: a row for each completed run, with the values that differ.

        A frame where pandas is installed, else a list of mappings.
        """
        from dlrun.inference.in_memory import as_frame

        return as_frame(
            [
                {
                    "run": str(self._run(entry).path),
                    **entry["differs"],
                    "best_epoch": entry["best_epoch"],
                    self.result["monitor"]: entry["value"],
                    **{f"test_{name}": value for name, value in entry["test"].items()},
                }
                for entry in self.result.get("ranking", ())
            ]
        )

    def _run(self, entry: dict[str, Any]) -> Run:
        reused = Path(entry["run_dir"]) if entry.get("reused") else None
        path = reused or self.path / Path(entry["run_dir"]).name
        return Run(path, **self._places)  # type: ignore[arg-type]

    def __repr__(self) -> str:
        from dlrun.report.sweep import leaderboard

        return leaderboard(self.result)

    def _repr_html_(self) -> str:
        from dlrun.report.run_html import preformat

        return preformat(repr(self))


def sweep(
    *overrides: str,
    jobs: int | None = None,
    timeout: float | None = None,
    memory_limit: float | None = None,
    retries: int = 0,
    fail_fast: bool = False,
    resume: Path | str | None = None,
    runs_file: Path | str | None = None,
    needed: bool = False,
    vectorize: bool = False,
    keep: str | None = None,
    again: str | None = None,
    fail_under: Sequence[str] = (),
    fail_over: Sequence[str] = (),
    search: str | None = None,
    trials: int | None = None,
    sampler: str | None = None,
    pruner: str | None = None,
    objectives: str | None = None,
    study: str | None = None,
    storage: str | None = None,
    launcher: str | None = None,
    launcher_options: Sequence[str] = (),
    runs_dir: Path | str | None = None,
    config_dir: Path | str | None = None,
    trust: Sequence[str] = (),
    quiet: bool = False,
) -> SweepResult:
    """Train every combination of values, or search, in processes of their own; rank the runs.

    The runs may be on any backend: they do not depend on what this process has imported.

    Args:
        *overrides: As after ``dlrun sweep``: ``"seed=1,2"``, ``"backend=jax,torch"``.
        jobs: Runs in parallel; by default one per core.
        timeout: Seconds per run; only a run that takes longer fails.
        memory_limit: In GB; a process that holds more after a run is replaced.
        retries: How often to retry a failed run.
        fail_fast: Stop the sweep when a run fails.
        resume: The directory of an earlier sweep, whose remaining runs are completed.
        runs_file: A CSV, YAML or JSON file with the overrides of each run.
        needed: Take the results of equal runs that have completed, and train the others.
        vectorize: Train runs that differ only in seed and learning rate in one program; on jax.
        keep: Whose checkpoints stay while it goes on: ``all``, ``best``, ``top=3``, ``none``.
        again: With ``resume``, the dropped runs to train again: their numbers, or ``all``.
        fail_under: Limits on the best setting, as ``accuracy=0.97`` on the mean over its repeats
            and ``worst.accuracy=0.95`` on the worst.
        fail_over: Limits that no value may exceed, as ``loss=0.3``.
        search: ``optuna`` to search ranges instead of running every combination.
        trials: The number of runs of a search; by default 20.
        sampler: As for ``dlrun sweep``.
        pruner: As for ``dlrun sweep``.
        objectives: As for ``dlrun sweep``.
        study: As for ``dlrun sweep``.
        storage: As for ``dlrun sweep``.
        launcher: A Hydra launcher: joblib, ray, submitit_local, submitit_slurm.
        launcher_options: As ``key=value``.
        runs_dir: The sweep is written to its ``sweeps/``; by default runs_dir of the config.
        config_dir: A project: its modules and configs/; by default the working directory.
        trust: Modules that may be instantiated, beside those that your options name.
        quiet: Show no progress.

    Raises:
        DlrunError: If a run's config is wrong, or the directory can't be written. Runs that fail
            are counted in the result.
        KeyboardInterrupt: If the sweep was interrupted; ``resume`` continues it.
    """
    from dlrun.sweeps.request import SweepRequest
    from dlrun.sweeps.run import sweep as run_sweep
    from dlrun.sweeps.search_options import search_options

    project = Project.of(config_dir, trust)
    with guest_call(config_dir=project.config_dir, quiet=quiet):
        request = SweepRequest(
            overrides=check_overrides(overrides),
            jobs=jobs,
            timeout_seconds=timeout,
            memory_limit=memory_limit,
            retries=retries,
            fail_fast=fail_fast,
            resume=None if resume is None else Path(resume),
            runs_file=None if runs_file is None else Path(runs_file),
            needed=needed,
            vectorize=vectorize,
            keep=keep,
            again=again,
            fail_under=fail_under,
            fail_over=fail_over,
            search=search_options(
                search,
                resume is not None,
                trials=trials,
                sampler=sampler,
                pruner=pruner,
                objectives=objectives,
                study=study,
                storage=storage,
            ),
            launcher=launcher,
            launcher_options=launcher_options,
            runs_dir=None if runs_dir is None else Path(runs_dir),
            project=project,
            quiet=quiet,
        )
        result = run_sweep(request)
    return SweepResult(result, config_dir=project.config_dir, trust=trust)
