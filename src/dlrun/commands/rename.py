"""``dlrun rename``."""

from pathlib import Path
from typing import Annotated

import typer

from dlrun.commands.arguments import Json, Run, RunsDir
from dlrun.commands.terminal import print_result, report_errors


def rename(
    run: Run,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The new name.", show_default=False)],
    runs_dir: RunsDir = Path("runs"),
    as_json: Json = False,
) -> None:
    """Give a run a name of its own, by which every command finds it.

    Its id and its former names still find it, unless another run has them.

    \b
    Example:
      dlrun rename latest baseline
    """
    with report_errors() as out:
        from dlrun.api.annotate import rename as rename_run

        result = rename_run(run, name, runs_dir=runs_dir)
        print_result(out, result, as_json, lambda result: str(result["run_dir"]))
