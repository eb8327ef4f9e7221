"""``dlrun sweep``."""

import logging
from pathlib import Path
from typing import Annotated, Any

import typer

from dlrun.commands.arguments import ConfigDir, Json, Overrides, Quiet, Trust, one_of
from dlrun.commands.terminal import print_result, reported
from dlrun.errors import DlrunError


def sweep(
    overrides: Overrides = None,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", "-j", min=1, help="Runs at once; by default one for each core."),
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(min=0, help="Seconds for one run; it fails alone.")
    ] = None,
    memory_limit: Annotated[
        float | None,
        typer.Option(
            metavar="GB", min=0, help="A process that holds more after a run is replaced."
        ),
    ] = None,
    retries: Annotated[int, typer.Option(min=0, help="Try a run that fails again.")] = 0,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="Stop all when one run fails.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list the runs.")] = False,
    resume: Annotated[
        Path | None,
        typer.Option(metavar="SWEEP_DIR", help="Run what an earlier sweep has not completed."),
    ] = None,
    search: Annotated[
        str | None,
        typer.Option(help="optuna: search in ranges, rather than run every combination."),
    ] = None,
    trials: Annotated[
        int | None, typer.Option(min=1, help="Runs of a search; 20 by default.")
    ] = None,
    sampler: Annotated[
        str | None,
        typer.Option(help="tpe, random, cmaes, grid ...; with arguments, as in tpe,group=true."),
    ] = None,
    pruner: Annotated[
        str | None,
        typer.Option(help="median, hyperband, none ...; what ends runs that are hopeless."),
    ] = None,
    study: Annotated[
        str | None, typer.Option(help="Its name: processes that give the same share it.")
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(help="sqlite:///PATH of the study; by default study.db in the sweep."),
    ] = None,
    launcher: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Let one of Hydra's launchers run them: joblib, ray, submitit_local, "
            "submitit_slurm.",
        ),
    ] = None,
    launcher_option: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="Of the launcher, as partition=gpu; repeatable."),
    ] = None,
    export_keras: Annotated[
        bool, typer.Option("--export-keras", help="Also write a standard model.keras of each run.")
    ] = False,
    runs_dir: Annotated[
        Path | None,
        typer.Option(help="Where the sweep goes, in sweeps/; by default the runs' runs_dir."),
    ] = None,
    config_dir: ConfigDir = None,
    trust: Trust = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Train every combination of several values, or search, in warm processes; rank the runs.

    \b
    Examples:
      dlrun sweep backend=jax,tensorflow,torch loop=fit,train_step,raw
      dlrun sweep optimizer.learning_rate=1e-4,3e-4,1e-3 'seed=range(5)' --jobs 2
      dlrun sweep 'optimizer.learning_rate=interval(1e-4,1e-2)' --search optuna
      dlrun sweep --resume runs/sweeps/2026-11-21_10-04-31_k3f9
      dlrun sweep 'seed=range(20)' --launcher submitit_slurm
    """
    with reported(quiet) as out:
        from dlrun.report.sweep import dry_run as listed
        from dlrun.report.sweep import leaderboard
        from dlrun.sweeps.run import sweep as run

        asked = _search(
            search,
            resume is not None,
            trials=trials,
            sampler=sampler,
            pruner=pruner,
            study=study,
            storage=storage,
        )
        result = run(
            [*(overrides or []), *(["+export=keras"] if export_keras else [])],
            jobs=jobs,
            timeout_seconds=timeout,
            memory_limit=memory_limit,
            retries=retries,
            fail_fast=fail_fast,
            dry_run=dry_run,
            resume=resume,
            search=asked,
            launcher=launcher,
            launcher_options=launcher_option or (),
            runs_dir=runs_dir,
            config_dir=config_dir,
            trusted=trust or (),
            quiet=quiet,
        )
        print_result(out, result, as_json, listed if dry_run else leaderboard)
        if result["best"]:
            logging.getLogger("dlrun").info("best   %s", result["best"]["run_dir"])
        if result["failed"]:
            left = len(result["runs"]) - sum(result[n] for n in ("completed", "pruned", "failed"))
            # A trial that failed has told the study so, and stays what it is.
            again = f"dlrun sweep --resume {result['sweep_dir']}"
            raise DlrunError(
                f"{result['failed']} of {len(result['runs'])} runs failed"
                + (f", and {left} were not run to their end" if left else ""),
                hint="their run.json tells why" if "search" in result else f"what is left: {again}",
                exit_code=1,
            )


def _search(search: str | None, resumes: bool, **options: Any) -> dict[str, Any] | None:
    """What is asked of a search; None where none is."""
    given = {key: value for key, value in options.items() if value is not None}
    if search is not None:
        one_of("--search", search, ("optuna",))
    for key in given:
        if resumes and key != "trials":
            raise DlrunError(f"--resume takes no --{key}: the search has its own")
        if search is None and not resumes:
            raise DlrunError(f"--{key} needs --search optuna")
    return given if search or given else None
