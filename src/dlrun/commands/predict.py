"""``dlrun predict``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

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
from dlrun.commands.terminal import GuardedStream, print_result, report_errors
from dlrun.config.project import Project
from dlrun.errors import DlrunError


def predict(
    run: RunOrFile,
    overrides: Overrides = None,
    source: Annotated[
        Path | None,
        typer.Option(
            "--input",
            help="A table with the run's columns, '-' for JSON lines on stdin, images or texts (a"
            " file, a folder or a pattern), a .npy or a .npz; by default the test split.",
        ),
    ] = None,
    array: Annotated[str | None, typer.Option(help="Array to read from an .npz.")] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            help="A .csv, .jsonl, .parquet or .npz file, or '-' for stdout; by default"
            " predictions.npz in the run."
        ),
    ] = None,
    ids: Annotated[
        list[str] | None,
        typer.Option(
            "--id",
            metavar="COLUMN",
            help="A column to keep, by default one called id or like it; repeatable.",
        ),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(min=1, help="Write the K best classes instead of every class.", metavar="K"),
    ] = None,
    on_error: Annotated[
        str,
        typer.Option(
            metavar="fail|skip",
            help="If a row or file can't be read: fail, or skip it, without a prediction.",
        ),
    ] = "fail",
    to_stdout: Annotated[
        str | None,
        typer.Option(
            "--format", help="Format of --output -: csv or jsonl; by default that of the input."
        ),
    ] = None,
    checkpoint: Which = "best",
    config_dir: ConfigDir = None,
    trust: Trust = None,
    runs_dir: RunsDir = Path("runs"),
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Write a run's predictions for its test split, or your own rows or arrays.

    \b
    Examples:
      dlrun predict latest --output predictions.csv
      dlrun predict latest --input digits.npy --output digits.npz
      dlrun predict latest --input new.csv --output predictions.csv --top 3
      dlrun predict latest --input photos --output predictions.csv --on-error skip
      dlrun predict latest --input - --output - < rows.jsonl
    """
    with report_errors(quiet) as out:
        require_choice("--on-error", on_error, ("fail", "skip"))
        if to_stdout is not None:
            require_choice("--format", to_stdout, ("csv", "jsonl"))
        if as_json and str(output) == "-":
            raise DlrunError("--json and --output - both print on stdout", hint="--output FILE")
        from dlrun.api.predict import predict as run_prediction

        result = run_prediction(
            run,
            overrides or [],
            which=checkpoint,
            source=source,
            array=array,
            output=output,
            ids=ids or (),
            top=top,
            on_error=on_error,
            stdout=GuardedStream(out),
            stdout_kind=to_stdout,
            runs_dir=runs_dir,
            project=Project.of(config_dir, trust),
        )
        if str(output) != "-":
            print_result(out, result, as_json, _line)


def _line(result: Mapping[str, Any]) -> str:
    skipped = f"; {result['skipped']:,} skipped" if result.get("skipped") else ""
    predictions = "1 prediction" if result["samples"] == 1 else f"{result['samples']:,} predictions"
    return f"{predictions} written to {result['output']}{skipped}"
