"""``dlrun runs``."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from dlrun.commands.arguments import Json
from dlrun.commands.terminal import print_result, report_errors, watch_text
from dlrun.errors import DlrunError


def runs(
    runs_dir: Annotated[
        Path, typer.Argument(metavar="RUNS_DIR", help="A folder that holds runs at any depth.")
    ] = Path("runs"),
    where: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CONDITION", help="Only matching runs: key=value, !=, <, >, <=, >=; repeatable."
        ),
    ] = None,
    sort: Annotated[
        str, typer.Option(metavar="KEY", help="Best or newest first; other keys ascending.")
    ] = "started",
    reverse: Annotated[bool, typer.Option("--reverse", help="Reverse the order.")] = False,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", min=1, help="Show at most this many.")
    ] = None,
    tree: Annotated[
        bool, typer.Option("--tree", help="Show descent: runs of --from, of weights, of sweeps.")
    ] = False,
    grouped: Annotated[
        bool, typer.Option("--group", help="One line for runs that differ only in seed or fold.")
    ] = False,
    as_json: Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print every value as CSV.")] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show the table until Ctrl-C, with running epochs.")
    ] = False,
) -> None:
    """List runs, newest first.

    A key names a value of run.json or of the run's config, or a metric of the best epoch: status,
    backend, tag, test.accuracy, val_loss, optimizer.learning_rate.

    \b
    Examples:
      dlrun runs
      dlrun runs --sort val_accuracy --limit 10
      dlrun runs --where backend=jax --where 'test.accuracy>0.97' --json
      dlrun runs --where status=running --watch
      dlrun runs --tree
      dlrun runs --group --sort val_accuracy
    """
    with report_errors() as out:
        if as_json and as_csv:
            raise DlrunError("--json and --csv: choose one")
        if watch and (as_json or as_csv):
            raise DlrunError("--watch shows a table", hint="leave out --json and --csv")
        if tree and (as_csv or watch):
            raise DlrunError("--tree can't be combined with --csv or --watch")
        if tree and (sort != "started" or reverse or limit is not None):
            raise DlrunError(
                "--tree has the order of descent",
                hint="leave out --sort, --reverse and --limit; --where limits what it shows",
            )
        if grouped and (tree or as_csv or watch):
            raise DlrunError("--group can't be combined with --tree, --csv or --watch")
        chosen: dict[str, Any] = {
            "where": where or (),
            "sort": sort,
            "reverse": reverse,
            "limit": limit,
        }
        if grouped:
            from dlrun.api.settings import group_runs
            from dlrun.report.settings import settings_table

            found = group_runs(runs_dir, **chosen)
            result = {"runs_dir": str(runs_dir), "settings": [each.to_dict() for each in found]}
            print_result(out, result, as_json, lambda result: settings_table(result["settings"]))
            return
        from dlrun.api.list_runs import list_runs
        from dlrun.report.runs import runs_csv, runs_table
        from dlrun.runs.query import parse

        keys = [sort, *(parse(condition).key for condition in where or ())]

        def read(live: bool = False) -> dict[str, Any]:
            return list_runs(runs_dir, **chosen, live=live)

        def show(result: Mapping[str, Any]) -> str:
            return runs_table(result, keys, width=shutil.get_terminal_size().columns)

        if tree:
            from dlrun.report.tree import tree_lines
            from dlrun.runs.descent import trees

            roots = trees(read()["runs"])
            nodes = {"runs_dir": str(runs_dir), "trees": [root.to_dict() for root in roots]}
            print_result(out, nodes, as_json, lambda _: tree_lines(roots))
        elif watch:
            watch_text(out, lambda: show(read(live=True)))
        else:
            print_result(out, read(), as_json, runs_csv if as_csv else show)
