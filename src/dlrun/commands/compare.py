"""``dlrun compare``."""

import logging
import shutil
from pathlib import Path
from typing import Annotated

import typer

from dlrun.commands.arguments import By, Json, Place, RunsDir
from dlrun.commands.terminal import print_result, report_errors
from dlrun.errors import DlrunError


def compare(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN RUN...",
            help="Directories, names, or 'latest'; sweeps for their settings.",
            show_default=False,
        ),
    ],
    every: Annotated[bool, typer.Option("--all", help="Also show equal values.")] = False,
    repeats: Annotated[
        bool,
        typer.Option(
            "--repeats", help="Whether settings differ by more than their seeds or folds do."
        ),
    ] = False,
    plot: Annotated[
        Path | None, typer.Option(help="Plot the curves of all runs to a .png, .svg or .pdf.")
    ] = None,
    by: By = Place.epoch,
    runs_dir: RunsDir = Path("runs"),
    as_json: Json = False,
) -> None:
    """Show how runs differ: in config, results and environment.

    For a sweep over seeds or folds, or with --repeats, it shows whether settings differ by more
    than their repeats do: by a paired t-test if they have the same repeats, else by Welch's test.

    \b
    Examples:
      dlrun compare k3f9 69jz
      dlrun compare runs/sweeps/2026-11-21_10-04-31_k3f9
      dlrun compare k3f9/0 k3f9/1 k3f9/2 k3f9/3 --repeats
      dlrun compare latest 2026-11-21_10-04-31_k3f9 --plot curves.png --by seconds
    """
    with report_errors() as out:
        from dlrun.api.compare_settings import compare_settings
        from dlrun.runs.locate import find_sweep

        if repeats or any(find_sweep(run, runs_dir) for run in runs):
            if every or plot is not None:
                raise DlrunError("--all and --plot are for runs, not for settings")
            from dlrun.report.settings import comparison_lines

            found = compare_settings(runs, runs_dir=runs_dir)
            print_result(out, found, as_json, comparison_lines)
            return
        if by is not Place.epoch and plot is None:
            raise DlrunError(f"--by {by.value} is of the plot", hint="add --plot curves.png")
        from dlrun.api.compare import compare as run_comparison
        from dlrun.report.compare import compare_table

        result = run_comparison(runs, runs_dir=runs_dir, plot=plot, by=by.value, all_rows=every)
        width = shutil.get_terminal_size().columns
        print_result(out, result, as_json, lambda result: compare_table(result, width=width))
        if plot is not None:
            logging.getLogger("dlrun").info("plot   %s", plot)
