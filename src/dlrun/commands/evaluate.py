"""``dlrun evaluate``."""

from pathlib import Path
from typing import Annotated

import typer

from dlrun.commands.arguments import (
    ConfigDir,
    Json,
    Overrides,
    Quiet,
    Run,
    RunsDir,
    Trust,
    Which,
    one_of,
)
from dlrun.commands.terminal import print_result, reported
from dlrun.errors import DlrunError


def evaluate(
    run: Run,
    overrides: Overrides = None,
    checkpoint: Which = "best",
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "test",
    fail_under: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METRIC=VALUE",
            help="Exit 1 if a metric is lower, as an accuracy may be; repeatable.",
        ),
    ] = None,
    fail_over: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METRIC=VALUE",
            help="Exit 1 if a metric is higher, as a loss may be; repeatable.",
        ),
    ] = None,
    config_dir: ConfigDir = None,
    trust: Trust = None,
    runs_dir: RunsDir = Path("runs"),
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Evaluate a run's model, on any backend; numpy too.

    \b
    Examples:
      dlrun evaluate latest
      dlrun evaluate latest backend=numpy data.limit=1000 --json
      dlrun evaluate latest --fail-under accuracy=0.97 --fail-over loss=0.3
    """
    with reported(quiet) as out:
        if not checkpoint.isdecimal():
            one_of("--checkpoint", checkpoint, ("best", "last"))
        one_of("--split", split, ("train", "validation", "test"))
        from dlrun.api.evaluate import evaluate as run_evaluation
        from dlrun.report.tables import evaluate_table

        result, failures = run_evaluation(
            run,
            overrides or [],
            which=checkpoint,
            split=split,
            fail_under=fail_under or [],
            fail_over=fail_over or [],
            runs_dir=runs_dir,
            config_dir=config_dir,
            trusted=trust or (),
        )
        print_result(out, result, as_json, evaluate_table)
        if failures:
            raise DlrunError("; ".join(failures), exit_code=1)
