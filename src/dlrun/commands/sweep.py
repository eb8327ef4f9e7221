"""``dlrun sweep``."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from dlrun.commands.arguments import ConfigDir, Json, Overrides, Quiet, Trust
from dlrun.errors import DlrunError
from dlrun.terminal import print_result, reported


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
    runs_dir: Annotated[
        Path | None,
        typer.Option(help="Where the sweep goes, in sweeps/; by default the runs' runs_dir."),
    ] = None,
    config_dir: ConfigDir = None,
    trust: Trust = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Train every combination of several values, in warm processes, and rank the runs.

    \b
    Examples:
      dlrun sweep backend=jax,tensorflow,torch loop=fit,train_step,raw
      dlrun sweep optimizer.learning_rate=1e-4,3e-4,1e-3 'seed=range(5)' --jobs 2
      dlrun sweep --resume runs/sweeps/2026-11-21_10-04-31_k3f9
    """
    with reported(quiet) as out:
        from dlrun.report.sweep import dry_run as listed
        from dlrun.report.sweep import leaderboard
        from dlrun.sweep.sweep import sweep as run

        result = run(
            overrides or [],
            jobs=jobs,
            timeout_seconds=timeout,
            memory_limit=memory_limit,
            retries=retries,
            fail_fast=fail_fast,
            dry_run=dry_run,
            resume=resume,
            runs_dir=runs_dir,
            config_dir=config_dir,
            trusted=trust or (),
            quiet=quiet,
        )
        print_result(out, result, as_json, listed if dry_run else leaderboard)
        if result["best"]:
            logging.getLogger("dlrun").info("best   %s", result["best"]["run_dir"])
        if result["failed"]:
            left = len(result["runs"]) - result["completed"] - result["failed"]
            raise DlrunError(
                f"{result['failed']} of {len(result['runs'])} runs failed"
                + (f", and {left} were not run to their end" if left else ""),
                hint=f"what is left: dlrun sweep --resume {result['sweep_dir']}",
                exit_code=1,
            )
