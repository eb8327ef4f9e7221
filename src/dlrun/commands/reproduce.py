"""``dlrun reproduce``."""

from pathlib import Path
from typing import Annotated

import typer

from dlrun.commands.arguments import ConfigDir, Json, TrainingBackends, Trust, split_words
from dlrun.commands.terminal import print_result, report_errors
from dlrun.config.project import Project


def reproduce(
    experiments: Annotated[
        list[str] | None,
        typer.Argument(metavar="EXPERIMENTS", help="Names; by default all that are not slow."),
    ] = None,
    names: TrainingBackends = None,
    slow: Annotated[bool, typer.Option("--slow", help="Include slow experiments.")] = False,
    output: Annotated[Path, typer.Option(help="The Markdown table to write.")] = Path("RESULTS.md"),
    runs_dir: Annotated[
        Path, typer.Option(help="Where to keep the runs: in RUNS_DIR/reproduce.")
    ] = Path("runs"),
    config_dir: ConfigDir = None,
    trust: Trust = None,
    as_json: Json = False,
) -> None:
    """Run the books' experiments and write a table of their results.

    Runs that this version of dlrun has already completed in RUNS_DIR/reproduce are reused.

    \b
    Examples:
      dlrun reproduce
      dlrun reproduce first_network linear_classifier --backends jax,torch
    """
    with report_errors() as out:
        from dlrun.proofs.reproduce import reproduce as run
        from dlrun.report.tables import reproduction_line

        result = run(
            experiments or (),
            chosen=split_words(names),
            slow=slow,
            output=output,
            runs_dir=runs_dir,
            project=Project.of(config_dir, trust),
        )
        print_result(out, result, as_json, reproduction_line)
    if result["not_reached"]:
        raise typer.Exit(1)
