"""``dlrun new``."""

from pathlib import Path
from shlex import quote
from typing import Annotated, Any

import typer

from dlrun.commands.arguments import Json
from dlrun.commands.terminal import print_result, report_errors


def new(
    directory: Annotated[
        Path, typer.Argument(metavar="DIRECTORY", help="Where; it must not exist, or be empty.")
    ],
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="FORMAT=PATH",
            help="Your own data set: csv=table.csv, parquet=rows.parquet, ...",
        ),
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="The column to predict; by default the last one.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a project that works at once: a model, a data set, options, a test, a CI workflow.

    \b
    Examples:
      dlrun new digits
      dlrun new houses --from csv=houses.csv --target price
    """
    with report_errors() as out:
        from dlrun.api.new import new as new_project

        print_result(out, new_project(directory, source=source, target=target), as_json, _lines)


def _lines(result: dict[str, Any]) -> str:
    lines = [f"{result['directory']}:", *(f"  {name}" for name in result["files"])]
    target = [f"target {result['target']}"] if result["target"] else []
    start = f"next   cd {quote(result['directory'])} && dlrun train {result['train']} && pytest"
    return "\n".join([*lines, "", *target, start])
