"""``dlrun export``."""

import math
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
from dlrun.config.project import Project
from dlrun.errors import DlrunError
from dlrun.exports import formats

# What files and other tools call a format.
FORMATS = {
    "pt": "torch",
    "pth": "torch",
    "torchscript": "torch",
    "tflite": "litert",
    "tf": "saved_model",
    "h5": "keras",
}


def export(
    run: Run,
    overrides: Overrides = None,
    format: Annotated[
        str,
        typer.Option(
            metavar="FORMAT", help=f"One of {', '.join(formats.names())}: the file's format."
        ),
    ] = "onnx",
    output: Annotated[
        Path | None,
        typer.Option(help="The file to write; by default model.* in the run's exports/FORMAT."),
    ] = None,
    quantize: Annotated[
        str | None,
        typer.Option(
            metavar="KIND",
            help="int8 or float16, measured against float32: accuracy, latency and size.",
        ),
    ] = None,
    checkpoint: Which = "best",
    tolerance: Annotated[
        float | None,
        typer.Option(
            help="Exit 1 if outputs differ by more; by default it depends on the precision."
        ),
    ] = None,
    samples: Annotated[
        int, typer.Option(min=1, help="Samples of the test split to compare on.")
    ] = 1024,
    license: Annotated[
        str | None, typer.Option(help="What the model card says, such as apache-2.0.")
    ] = None,
    config_dir: ConfigDir = None,
    trust: Trust = None,
    runs_dir: RunsDir = Path("runs"),
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Write a run's model for another runtime, and prove there that it computes the same.

    \b
    Examples:
      dlrun export latest
      dlrun export latest --format litert --output model.tflite
      dlrun export latest --quantize int8 --license apache-2.0
      dlrun evaluate runs/mnist_mlp/.../exports/onnx/model.onnx
    """
    with report_errors(quiet) as out:
        require_choice("--format", format, formats.names(), FORMATS)
        if quantize is not None:
            require_choice("--quantize", quantize, ("int8", "float16"))
        if tolerance is not None and not (tolerance >= 0 and math.isfinite(tolerance)):
            raise DlrunError(f"--tolerance {tolerance}: expected a number >= 0")
        from dlrun.api.export import export as run_export
        from dlrun.report.export import export_table

        result = run_export(
            run,
            overrides or [],
            format=format,
            output=output,
            quantize=quantize,
            which=checkpoint,
            tolerance=tolerance,
            samples=samples,
            license=license,
            runs_dir=runs_dir,
            project=Project.of(config_dir, trust),
        )
        print_result(out, result, as_json, export_table)
        if not result["passed"]:
            raise DlrunError(
                f"the {format} file does not compute what the run does; nothing was written",
                hint="--tolerance allows a larger difference",
                exit_code=1,
            )
