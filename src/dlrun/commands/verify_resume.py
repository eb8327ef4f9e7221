"""``dlrun verify-resume``."""

from pathlib import Path
from typing import Annotated

import typer

from dlrun.commands.arguments import ConfigDir, Json, Overrides, Trust
from dlrun.commands.terminal import print_result, report_errors
from dlrun.config.project import Project


def verify_resume(
    overrides: Overrides = None,
    kills: Annotated[int, typer.Option(min=1, help="Number of times to kill the second run.")] = 2,
    runs_dir: Annotated[
        Path | None,
        typer.Option(help="Where to write the two runs; by default runs_dir of the config."),
    ] = None,
    config_dir: ConfigDir = None,
    trust: Trust = None,
    as_json: Json = False,
) -> None:
    """Prove that a killed and resumed run is bit-identical to one that never stopped.

    Trains twice, kills the second run with SIGKILL, during an epoch and during a save, resumes it,
    and compares weights, optimizer, history and callback state. Exits 1 if they differ.

    \b
    Examples:
      dlrun verify-resume backend=torch epochs=4
      dlrun verify-resume loop=raw data.limit=5000 --kills 5
    """
    with report_errors() as out:
        from dlrun.proofs.verify_resume import verify_resume as verify
        from dlrun.report.tables import verify_resume_lines

        result = verify(
            overrides or [], kills=kills, runs_dir=runs_dir, project=Project.of(config_dir, trust)
        )
        print_result(out, result, as_json, verify_resume_lines)
    if not result["equal"]:
        raise typer.Exit(1)
