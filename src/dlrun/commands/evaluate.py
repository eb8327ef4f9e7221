"""``dlrun evaluate``."""

from pathlib import Path
from typing import Annotated

import typer

from dlrun.commands.arguments import (
    SPLITS,
    ConfigDir,
    Json,
    Overrides,
    Quiet,
    RunsDir,
    Trust,
    require_choice,
)
from dlrun.commands.terminal import print_result, report_errors
from dlrun.config.project import Project
from dlrun.errors import DlrunError


def evaluate(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN...",
            help="Run directories, their ids, or 'latest'; or exported files.",
            show_default=False,
        ),
    ],
    overrides: Overrides = None,
    checkpoint: Annotated[
        str,
        typer.Option(
            metavar="best|last|EPOCH",
            help="The epoch to load: best, last or a number, or several: best,last.",
        ),
    ] = "best",
    split: Annotated[
        str | None, typer.Option(help="train, validation or test; by default test.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="A table with the run's columns and targets, folders named by class, or an .npz of"
            " inputs x and labels y, all of which is evaluated."
        ),
    ] = None,
    on_error: Annotated[
        str,
        typer.Option(
            metavar="fail|skip",
            help="A sample of --data that can't be read: fail, or leave it out.",
        ),
    ] = "fail",
    fail_under: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METRIC=VALUE",
            help="Exit 1 if a metric, such as accuracy or recall[CLASS], is lower; repeatable.",
        ),
    ] = None,
    fail_over: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METRIC=VALUE", help="Exit 1 if a metric, such as loss, is higher; repeatable."
        ),
    ] = None,
    bootstrap: Annotated[
        int,
        typer.Option(
            metavar="N", min=0, help="Intervals of the figures, from N samples of the split."
        ),
    ] = 0,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="RUN", help="Whether the difference from this run is more than chance."
        ),
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write every table as CSV.")
    ] = None,
    config_dir: ConfigDir = None,
    trust: Trust = None,
    runs_dir: RunsDir = Path("runs"),
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Evaluate runs' models on any backend, including numpy: metrics, classes, errors, curves.

    \b
    Examples:
      dlrun evaluate latest
      dlrun evaluate latest backend=numpy data.limit=1000 --json
      dlrun evaluate latest --data new.csv --on-error skip
      dlrun evaluate latest --fail-under accuracy=0.97 --fail-over loss=0.3
      dlrun evaluate latest --fail-under 'recall[cat]=0.9' --csv tables
      dlrun evaluate RUN RUN backend=jax,torch --checkpoint best,last
      dlrun evaluate RUN --against RUN --bootstrap 1000
    """
    with report_errors(quiet) as out:
        if split is not None:
            require_choice("--split", split, ("train", "validation", "test"), SPLITS)
        require_choice("--on-error", on_error, ("fail", "skip"))
        from dlrun.api.evaluate import evaluate as run_evaluation
        from dlrun.report.evaluation import evaluation_lines

        runs, changes = _runs_and_overrides([run, *(overrides or [])])
        result, failures = run_evaluation(
            runs,
            changes,
            which=checkpoint,
            split=split,
            data=data,
            on_error=on_error,
            fail_under=fail_under or [],
            fail_over=fail_over or [],
            bootstrap=bootstrap,
            against=against,
            csv=csv,
            runs_dir=runs_dir,
            project=Project.of(config_dir, trust),
        )
        print_result(out, result, as_json, evaluation_lines)
        if failures:
            raise DlrunError("; ".join(failures), exit_code=1)


def _runs_and_overrides(words: list[str]) -> tuple[list[str], list[str]]:
    """Tell runs from overrides, to which words with spaces around a ``=`` belong, too."""
    from dlrun.config.bare_words import group_words

    runs: list[str] = words[:1]
    overrides: list[str] = []
    for several, meant in group_words(words[1:]):
        typed = "".join(several)
        part = "=" in typed or (meant is not None and ":" in typed) or typed.startswith("~")
        (overrides if part else runs).extend(several)
    return runs, overrides
