"""``dlrun runs``."""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from dlrun.commands.arguments import Json
from dlrun.commands.terminal import print_result, reported
from dlrun.errors import DlrunError


def runs(
    runs_dir: Annotated[
        Path, typer.Argument(help="A folder with runs in it, at any depth.")
    ] = Path("runs"),
    where: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CONDITION",
            help="Only those for which it holds: key=value, !=, <, >, <=, >=; repeatable.",
        ),
    ] = None,
    sort: Annotated[
        str, typer.Option(metavar="KEY", help="The best or newest first, else the smallest.")
    ] = "started",
    reverse: Annotated[bool, typer.Option("--reverse", help="The other way around.")] = False,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", min=1, help="How many to show.")
    ] = None,
    as_json: Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print every value as CSV.")] = False,
) -> None:
    """List runs, the newest first.

    A key is a value of run.json, of the run's config, or a metric of the best epoch: status,
    backend, test.accuracy, val_loss, optimizer.learning_rate.

    \b
    Examples:
      dlrun runs
      dlrun runs --sort val_accuracy --limit 10
      dlrun runs --where backend=jax --where 'test.accuracy>0.97' --json
    """
    with reported() as out:
        if as_json and as_csv:
            raise DlrunError("--json and --csv: choose one")
        from dlrun.api.list_runs import list_runs as find
        from dlrun.report.runs import runs_csv, runs_table
        from dlrun.runs.query import parse

        result = find(runs_dir, where=where or (), sort=sort, reverse=reverse, limit=limit)
        asked = [sort, *(parse(one).key for one in where or ())]
        width = shutil.get_terminal_size().columns
        print_result(
            out,
            result,
            as_json,
            runs_csv if as_csv else lambda found: runs_table(found, asked, width=width),
        )
