"""``dlrun compare``."""

import logging
import shutil
from pathlib import Path
from typing import Annotated

import typer

from dlrun.commands.arguments import Json, RunsDir
from dlrun.commands.terminal import print_result, report_errors


def compare(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN RUN...", help="Directories, names, or 'latest'.", show_default=False
        ),
    ],
    every: Annotated[bool, typer.Option("--all", help="Also show equal values.")] = False,
    plot: Annotated[
        Path | None, typer.Option(help="Plot the curves of all runs to a .png, .svg or .pdf.")
    ] = None,
    runs_dir: RunsDir = Path("runs"),
    as_json: Json = False,
) -> None:
    """Show how runs differ: in config, results and environment.

    \b
    Examples:
      dlrun compare k3f9 69jz
      dlrun compare latest 2026-11-21_10-04-31_k3f9 --plot curves.png
    """
    with report_errors() as out:
        from dlrun.api.compare import compare as run_comparison
        from dlrun.report.compare import compare_table

        result = run_comparison(runs, runs_dir=runs_dir, plot=plot, all_rows=every)
        width = shutil.get_terminal_size().columns
        print_result(out, result, as_json, lambda result: compare_table(result, width=width))
        if plot is not None:
            logging.getLogger("dlrun").info("plot   %s", plot)
