"""``dlrun train``."""

import sys
from typing import Annotated

import typer

from dlrun.commands.arguments import ConfigDir, Json, Overrides, Quiet, Trust
from dlrun.commands.terminal import print_run, report_errors
from dlrun.config.project import Project


def train(
    overrides: Overrides = None,
    from_run: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="RUN", help="Repeat a run; the overrides change its config."
        ),
    ] = None,
    needed: Annotated[
        bool, typer.Option("--needed", help="Train only if no equal run has completed.")
    ] = False,
    export_keras: Annotated[
        bool, typer.Option("--export-keras", help="Also write a standard model.keras.")
    ] = False,
    multirun: Annotated[  # only for --help: dlrun.cli passes the line to sweep before parsing
        bool, typer.Option("--multirun", "-m", help="Run dlrun sweep; takes its options.")
    ] = False,
    config_dir: ConfigDir = None,
    trust: Trust = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Train a model, keep its best epoch, and evaluate it on the test split.

    \b
    Examples:
      dlrun train backend=jax model=mnist_mlp
      dlrun train experiment=first_network backend=torch
      dlrun train optimizer.learning_rate=3e-4 +callbacks=tensorboard
      dlrun train --from k3f9 optimizer.learning_rate=3e-4
      dlrun train seed=3 --needed
      dlrun train smoke=true --json
    """
    typed = [*(overrides or []), *(["+export=keras"] if export_keras else [])]
    with report_errors(quiet) as out:
        from dlrun.api.train import train as train_run
        from dlrun.system import process

        result = train_run(
            typed,
            project=Project.of(config_dir, trust),
            command=["dlrun", *sys.argv[1:]],
            started_at=process.started_at(),
            quiet=quiet,
            from_run=from_run,
            needed=needed,
        )
        print_run(out, result, as_json)
