"""``dlrun tag``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from dlrun.commands.arguments import Json, Run, RunsDir
from dlrun.commands.terminal import print_result, report_errors


def tag(
    run: Run,
    tags: Annotated[list[str] | None, typer.Argument(metavar="TAGS", help="Tags to add.")] = None,
    remove: Annotated[
        list[str] | None, typer.Option(metavar="TAG", help="A tag to remove; repeatable.")
    ] = None,
    note: Annotated[
        str | None, typer.Option(metavar="TEXT", help="A note; an empty text removes it.")
    ] = None,
    runs_dir: RunsDir = Path("runs"),
    as_json: Json = False,
) -> None:
    """Tag a run, or note something about it; without either, print what it has.

    dlrun runs shows tags, and finds runs by them: --where tag=paper.

    \b
    Examples:
      dlrun tag latest paper candidate
      dlrun tag latest --remove candidate --note 'the run of table 2'
    """
    with report_errors() as out:
        from dlrun.api.annotate import tag as tag_run

        result = tag_run(run, tags or (), remove=remove or (), note=note, runs_dir=runs_dir)
        print_result(out, result, as_json, _lines)


def _lines(result: Mapping[str, Any]) -> str:
    from dlrun.report.cells import plain

    told = [f"tags  {', '.join(result['tags'])}"] if result["tags"] else ["no tags"]
    told += [f"note  {result['note']}"] if result["note"] else []
    return "\n".join(map(plain, told))
