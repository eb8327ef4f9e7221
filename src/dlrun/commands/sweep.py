"""``dlrun sweep``."""

import logging
from pathlib import Path
from shlex import join, quote
from typing import Annotated, Any, TextIO

import typer

from dlrun.commands.arguments import ConfigDir, Json, Overrides, Quiet, Trust
from dlrun.commands.terminal import print_result, report_errors
from dlrun.config.project import Project
from dlrun.errors import DlrunError, counted


def sweep(
    overrides: Overrides = None,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", "-j", min=1, help="Runs in parallel; by default one per core."),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(min=0, help="Seconds per run; only a run that takes longer fails."),
    ] = None,
    memory_limit: Annotated[
        float | None,
        typer.Option(metavar="GB", min=0, help="Replace a process that holds more after a run."),
    ] = None,
    retries: Annotated[int, typer.Option(min=0, help="How often to retry a failed run.")] = 0,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="Stop the sweep when a run fails.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list the runs.")] = False,
    resume: Annotated[
        Path | None,
        typer.Option(
            metavar="SWEEP_DIR", help="Complete an earlier sweep: its directory, id or latest."
        ),
    ] = None,
    runs_file: Annotated[
        Path | None,
        typer.Option(
            "--runs", metavar="FILE", help="A CSV or YAML with the overrides of each run."
        ),
    ] = None,
    needed: Annotated[
        bool, typer.Option("--needed", help="Skip runs of which an equal one has completed.")
    ] = False,
    vectorize: Annotated[
        bool,
        typer.Option(
            "--vectorize",
            help="On jax: train runs that differ in seed, rate or epochs in one program.",
        ),
    ] = False,
    keep: Annotated[
        str | None,
        typer.Option(
            metavar="WHICH", help="Whose checkpoints stay: all, best, top=3 or none; others go."
        ),
    ] = None,
    again: Annotated[
        str | None,
        typer.Option(metavar="RUNS", help="With --resume: train dropped runs again: 3,7 or all."),
    ] = None,
    fail_under: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METRIC=VALUE",
            help="Exit 1 if the best setting's mean, or worst.METRIC, is lower; repeatable.",
        ),
    ] = None,
    fail_over: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METRIC=VALUE",
            help="Exit 1 if the best setting's mean, or worst.METRIC, is higher; repeatable.",
        ),
    ] = None,
    search: Annotated[
        str | None, typer.Option(help="optuna: search ranges instead of running every combination.")
    ] = None,
    trials: Annotated[
        int | None, typer.Option(min=1, help="Number of runs of a search; by default 20.")
    ] = None,
    sampler: Annotated[
        str | None,
        typer.Option(help="tpe, random, cmaes, grid ...; arguments as in tpe,group=true."),
    ] = None,
    pruner: Annotated[
        str | None, typer.Option(help="median, hyperband, none ...; stops unpromising runs early.")
    ] = None,
    objectives: Annotated[
        str | None,
        typer.Option(
            metavar="A,B",
            help="Search for several goals, such as val_accuracy,parameters: the Pareto front.",
        ),
    ] = None,
    study: Annotated[
        str | None,
        typer.Option(help="Name of the study; with --storage, processes of one name share it."),
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(help="Database, sqlite:///PATH; by default study.db in the sweep directory."),
    ] = None,
    launcher: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Use a Hydra launcher: joblib, ray, submitit_local, submitit_slurm.",
        ),
    ] = None,
    launcher_option: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE", help="Launcher option, such as partition=gpu; repeatable."
        ),
    ] = None,
    from_run: Annotated[  # of dlrun train: the answer is what to type here
        str | None, typer.Option("--from", metavar="RUN", hidden=True)
    ] = None,
    export_keras: Annotated[
        bool, typer.Option("--export-keras", help="Also write a standard model.keras for each run.")
    ] = False,
    runs_dir: Annotated[
        Path | None,
        typer.Option(help="Write to RUNS_DIR/sweeps/; by default runs_dir of the config."),
    ] = None,
    config_dir: ConfigDir = None,
    trust: Trust = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Train every combination of values, or search for good ones, and rank the runs.

    \b
    Examples:
      dlrun sweep backend=jax,tensorflow,torch loop=fit,train_step,raw
      dlrun sweep optimizer.learning_rate=1e-4,3e-4,1e-3 'seed=range(5)' --jobs 2
      dlrun sweep 'optimizer.learning_rate=interval(1e-4,1e-2)' --search optuna
      dlrun sweep 'seed=range(10)' --needed
      dlrun sweep loop=raw 'seed=range(32)' --vectorize
      dlrun sweep 'pair=zip(batch_size=[64,512],epochs=[5,20])'
      dlrun sweep loop=fit,raw 'loop.compile=where(loop=raw,eager,xla)'
      dlrun sweep --runs runs.csv seed=1,2
      dlrun sweep 'seed=range(100)' --keep top=3
      dlrun sweep --resume SWEEP_DIR --again all
      dlrun sweep repeats=5 --fail-under accuracy=0.97 --fail-over worst.loss=0.2
      dlrun sweep --resume runs/sweeps/2026-11-21_10-04-31_k3f9
      dlrun sweep 'seed=range(20)' --launcher submitit_slurm
    """
    with report_errors(quiet) as out:
        if from_run is not None:
            from dlrun.api.earlier import with_overrides_of

            typed = join(["dlrun", "sweep", *with_overrides_of(from_run, overrides or [])])
            raise DlrunError("--from belongs to dlrun train: a sweep has no parent", hint=typed)
        from dlrun.sweeps.request import SweepRequest
        from dlrun.sweeps.run import sweep as run_sweep
        from dlrun.sweeps.search_options import search_options

        searching = search_options(
            search,
            resume is not None,
            trials=trials,
            sampler=sampler,
            pruner=pruner,
            objectives=objectives,
            study=study,
            storage=storage,
        )
        request = SweepRequest(
            overrides=[*(overrides or []), *(["+export=keras"] if export_keras else [])],
            jobs=jobs,
            timeout_seconds=timeout,
            memory_limit=memory_limit,
            retries=retries,
            fail_fast=fail_fast,
            dry_run=dry_run,
            resume=resume,
            runs_file=runs_file,
            needed=needed,
            vectorize=vectorize,
            keep=keep,
            again=again,
            fail_under=fail_under or (),
            fail_over=fail_over or (),
            search=searching,
            launcher=launcher,
            launcher_options=launcher_option or (),
            runs_dir=runs_dir,
            project=Project.of(config_dir, trust),
            quiet=quiet,
        )
        result = run_sweep(request)
        _print(out, result, as_json, dry_run)
        if not dry_run:
            from dlrun.remote.mirror import check_sent

            check_sent(Path(result["sweep_dir"]))
        _check(result)


def _print(out: TextIO, result: dict[str, Any], as_json: bool, dry_run: bool) -> None:
    from dlrun.report import sweep as report

    print_result(out, result, as_json, report.dry_run if dry_run else report.leaderboard)
    if front := result.get("pareto", {}).get("front"):
        runs = ", ".join(path for entry in front for path in entry["run_dirs"])
        logging.getLogger("dlrun").info("front  %s", runs)
    elif result["best"]:
        logging.getLogger("dlrun").info("best   %s", result["best"]["run_dir"])


def _check(result: dict[str, Any]) -> None:
    """Refuse a result with failed runs or missed limits: the command exits with 1."""
    if result["failed"]:
        ended = sum(result[status] for status in ("completed", "pruned", "failed"))
        remaining = len(result["runs"]) - ended
        # --resume does not repeat failed trials: the study has recorded them as failed.
        resume = f"dlrun sweep --resume {quote(result['sweep_dir'])}"
        raise DlrunError(
            f"{result['failed']} of {counted(len(result['runs']), 'run')} failed"
            + (f", and {remaining} did not complete" if remaining else ""),
            hint="see their run.json for the error" if "search" in result else resume,
            exit_code=1,
        )
    if result.get("missed"):
        raise DlrunError("; ".join(result["missed"]), exit_code=1)
