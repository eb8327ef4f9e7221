"""``dlrun data``."""

from pathlib import Path
from typing import Annotated

import typer

from dlrun.commands.arguments import ConfigDir, Json, Overrides, Quiet, Trust
from dlrun.commands.terminal import print_result, report_errors
from dlrun.config.project import Project


def data(
    overrides: Overrides = None,
    save: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write an option with each choice made explicit, such as configs/data/mine.yaml.",
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Draw the distributions, or some images of each class, to a .png, .svg or .pdf.",
        ),
    ] = None,
    config_dir: ConfigDir = None,
    trust: Trust = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Describe a data set: columns, missing values, classes, splits, and the task that fits.

    No framework is imported.

    \b
    Examples:
      dlrun data data=csv data.path=houses.csv
      dlrun data data=csv data.path=houses.csv --plot houses.png
      dlrun data data=mnist --json
    """
    with report_errors(quiet) as out:
        from dlrun.api.data import describe_data
        from dlrun.report.data import data_tables

        result = describe_data(
            overrides or [], save=save, plot=plot, project=Project.of(config_dir, trust)
        )
        print_result(out, result, as_json, data_tables)
