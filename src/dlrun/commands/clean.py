"""``dlrun clean``."""

from pathlib import Path
from typing import Annotated

import typer

from dlrun.commands.arguments import Json
from dlrun.commands.terminal import print_result, report_errors


def clean(
    runs_dir: Annotated[
        Path, typer.Argument(metavar="RUNS_DIR", help="A folder that holds runs at any depth.")
    ] = Path("runs"),
    checkpoints: Annotated[
        bool, typer.Option("--checkpoints", help="Only checkpoints, neither best nor newest.")
    ] = False,
    failed: Annotated[bool, typer.Option("--failed", help="Only failed runs.")] = False,
    launches: Annotated[
        bool, typer.Option("--launches", help="Only folders of launches by Slurm or Ray.")
    ] = False,
    caches: Annotated[
        bool, typer.Option("--caches", help="Only caches of prepared data and compiled code.")
    ] = False,
    older_than: Annotated[
        float, typer.Option(metavar="DAYS", min=0, help="Only what is older than so many days.")
    ] = 0.0,
    yes: Annotated[
        bool, typer.Option("--yes", help="Remove it; without this it is only listed.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List files that no run needs any more, with their size; remove them with --yes.

    A run that is being trained keeps everything, every run its best and its newest checkpoint, and
    a failed run stays if it has a tag or a note.

    \b
    Examples:
      dlrun clean
      dlrun clean --failed --older-than 7 --yes
      dlrun clean --caches --json
    """
    with report_errors() as out:
        from dlrun.api.clean import KINDS
        from dlrun.api.clean import clean as run_clean
        from dlrun.report.clean import clean_table

        chosen = [checkpoints, failed, launches, caches]
        kinds = tuple(kind for kind, is_on in zip(KINDS, chosen, strict=True) if is_on)
        result = run_clean(runs_dir, kinds=kinds or KINDS, older_than_days=older_than, delete=yes)
        print_result(out, result, as_json, clean_table)
