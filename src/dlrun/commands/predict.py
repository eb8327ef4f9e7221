"""``dlrun predict``."""

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
    require_choice,
)
from dlrun.commands.terminal import print_result, report_errors


def predict(
    run: Run,
    overrides: Overrides = None,
    source: Annotated[
        Path | None,
        typer.Option("--input", help="A .npy or .npz of samples; by default the test split."),
    ] = None,
    array: Annotated[str | None, typer.Option(help="Array to read from an .npz.")] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="An .npz or .csv file; by default predictions.npz in the run."),
    ] = None,
    checkpoint: Which = "best",
    config_dir: ConfigDir = None,
    trust: Trust = None,
    runs_dir: RunsDir = Path("runs"),
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Write a run's predictions for its test split or your own arrays.

    \b
    Examples:
      dlrun predict latest --output predictions.csv
      dlrun predict latest --input digits.npy --output digits.npz
    """
    with report_errors(quiet) as out:
        if not checkpoint.isdecimal():
            require_choice("--checkpoint", checkpoint, ("best", "last"))
        from dlrun.api.predict import predict as run_prediction

        result = run_prediction(
            run,
            overrides or [],
            which=checkpoint,
            source=source,
            array=array,
            output=output,
            runs_dir=runs_dir,
            config_dir=config_dir,
            trusted=trust or (),
        )
        print_result(
            out, result, as_json, lambda r: f"{r['samples']:,} predictions written to {r['output']}"
        )
