"""``dlrun report``."""

from pathlib import Path
from typing import Annotated

import typer

from dlrun.commands.arguments import By, ConfigDir, Json, Place, RunsDir, Trust
from dlrun.commands.terminal import print_result, report_errors
from dlrun.config.project import Project


def report(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN|SWEEP",
            help="The directory of a run or a sweep, its id, or 'latest'.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(help="The file to write; by default report.html in that directory."),
    ] = None,
    with_data: Annotated[
        bool, typer.Option("--data/--no-data", help="Read the data set, and show examples of it.")
    ] = True,
    by: By = Place.epoch,
    runs_dir: RunsDir = Path("runs"),
    config_dir: ConfigDir = None,
    trust: Trust = None,
    as_json: Json = False,
) -> None:
    """Write one page about a run or a sweep, which opens anywhere and needs no network.

    No framework is imported. The data set of a run is read again for its classes and examples;
    --no-data leaves these out of the page.

    \b
    Examples:
      dlrun report latest
      dlrun report k3f9 --output k3f9.html --no-data
      dlrun report latest --by step
      dlrun report runs/sweeps/2026-11-21_10-04-31_7hmc
    """
    with report_errors() as out:
        from dlrun.api.report import report as write_report

        result = write_report(
            run,
            output=output,
            with_data=with_data,
            by=by.value,
            runs_dir=runs_dir,
            project=Project.of(config_dir, trust),
        )
        print_result(out, result, as_json, lambda result: result["report"])
