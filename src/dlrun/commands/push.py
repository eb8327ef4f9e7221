"""``dlrun push``."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from dlrun.commands.arguments import Json
from dlrun.commands.terminal import print_result, report_errors


def push(
    place: Annotated[
        str,
        typer.Argument(
            metavar="URL",
            help="The URL of a run, of a sweep, or of a folder of them.",
            show_default=False,
        ),
    ],
    as_json: Json = False,
) -> None:
    """Upload what could not be uploaded while a run was trained.

    Runs with runs_dir=s3://BUCKET/runs are uploaded as they are trained. What a lost connection has
    left is in their working copies on this machine.

    \b
    Examples:
      dlrun push s3://BUCKET/runs/mnist_mlp/2026-11-21_10-04-31_k3f9
      dlrun push s3://BUCKET/runs
    """
    with report_errors() as out:
        from dlrun.api.push import push as push_runs

        print_result(out, push_runs(place), as_json, _lines)


def _lines(result: Mapping[str, Any]) -> str:
    return "\n".join(f"{run['files']:>6,} files  {run['run_dir']}" for run in result["runs"])
