"""``dlrun evaluate``."""

from pathlib import Path
from typing import Annotated

import typer

from dlrun.commands.arguments import (
    ConfigDir,
    Json,
    Overrides,
    Quiet,
    RunOrFile,
    RunsDir,
    Trust,
    Which,
    require_choice,
)
from dlrun.commands.terminal import print_result, report_errors
from dlrun.errors import DlrunError


def evaluate(
    run: RunOrFile,
    overrides: Overrides = None,
    checkpoint: Which = "best",
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "test",
    data: Annotated[
        Path | None,
        typer.Option(
            help="A table with the run's columns and targets, or folders named by class, all of"
            " which is evaluated."
        ),
    ] = None,
    fail_under: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METRIC=VALUE",
            help="Exit 1 if a metric, such as accuracy, is lower; repeatable.",
        ),
    ] = None,
    fail_over: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METRIC=VALUE",
            help="Exit 1 if a metric, such as loss, is higher; repeatable.",
        ),
    ] = None,
    config_dir: ConfigDir = None,
    trust: Trust = None,
    runs_dir: RunsDir = Path("runs"),
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Evaluate a run's model on any backend, including numpy.

    \b
    Examples:
      dlrun evaluate latest
      dlrun evaluate latest backend=numpy data.limit=1000 --json
      dlrun evaluate latest --data new.csv
      dlrun evaluate latest --fail-under accuracy=0.97 --fail-over loss=0.3
    """
    with report_errors(quiet) as out:
        if not checkpoint.isdecimal():
            require_choice("--checkpoint", checkpoint, ("best", "last"))
        require_choice("--split", split, ("train", "validation", "test"))
        from dlrun.api.evaluate import evaluate as run_evaluation
        from dlrun.report.tables import evaluate_table

        result, failures = run_evaluation(
            run,
            overrides or [],
            which=checkpoint,
            split=split,
            data=data,
            fail_under=fail_under or [],
            fail_over=fail_over or [],
            runs_dir=runs_dir,
            config_dir=config_dir,
            trusted=trust or (),
        )
        print_result(out, result, as_json, evaluate_table)
        if failures:
            raise DlrunError("; ".join(failures), exit_code=1)
