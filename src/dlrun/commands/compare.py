"""``dlrun compare``."""

import logging
import shutil
from pathlib import Path
from typing import Annotated

import typer

from dlrun.commands.arguments import Json, RunsDir
from dlrun.commands.terminal import print_result, reported


def compare(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN RUN...", help="Directories, names, or 'latest'.", show_default=False
        ),
    ],
    every: Annotated[bool, typer.Option("--all", help="Also show what is equal.")] = False,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the curves of all, as .png, .svg or .pdf.")
    ] = None,
    runs_dir: RunsDir = Path("runs"),
    as_json: Json = False,
) -> None:
    """Show what differs between runs: in the config, in the result, and in what they ran on.

    \b
    Examples:
      dlrun compare k3f9 69jz
      dlrun compare latest 2026-11-21_10-04-31_k3f9 --plot curves.png
    """
    with reported() as out:
        from dlrun.api.compare import compare as run_comparison
        from dlrun.report.compare import compare_table

        result = run_comparison(runs, runs_dir=runs_dir, plot=plot, all_rows=every)
        width = shutil.get_terminal_size().columns
        print_result(out, result, as_json, lambda found: compare_table(found, width=width))
        if plot is not None:
            logging.getLogger("dlrun").info("plot   %s", plot)
