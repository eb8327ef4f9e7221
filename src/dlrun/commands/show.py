"""``dlrun show``."""

import shutil
from pathlib import Path

from dlrun.commands.arguments import Json, Run, RunsDir
from dlrun.commands.terminal import print_result, report_errors


def show(run: Run, runs_dir: RunsDir = Path("runs"), as_json: Json = False) -> None:
    """Show a run: its result, its curves, its files and its config.

    \b
    Examples:
      dlrun show latest
      dlrun show latest --json
    """
    with report_errors() as out:
        from dlrun.api.show import show as show_run
        from dlrun.report.run import run_text

        width = shutil.get_terminal_size().columns
        result = show_run(run, runs_dir=runs_dir)
        print_result(out, result, as_json, lambda result: run_text(result, width=width))
