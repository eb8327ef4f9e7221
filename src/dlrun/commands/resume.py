"""``dlrun resume``."""

import sys
from pathlib import Path

from dlrun.commands.arguments import ConfigDir, Json, Overrides, Quiet, Run, RunsDir, Trust
from dlrun.commands.terminal import print_run, report_errors
from dlrun.config.project import Project


def resume(
    run: Run,
    overrides: Overrides = None,
    config_dir: ConfigDir = None,
    trust: Trust = None,
    runs_dir: RunsDir = Path("runs"),
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Resume a run that was stopped or killed, or train it for more epochs.

    If the run is complete, its result is printed, so a script may always resume.

    On the same backend, versions and cores, the result is bit-identical to that of a run that
    never stopped. You may change epochs, backend, device, loop, callbacks,
    optimizer.learning_rate, feed and export.

    \b
    Examples:
      dlrun resume latest
      dlrun resume latest epochs=20
      dlrun resume latest epochs=+5
      dlrun resume runs/mnist_mlp/2026-11-21_10-04-31_k3f9 backend=torch
    """
    with report_errors(quiet) as out:
        from dlrun.api.resume import resume as resume_run
        from dlrun.system import process

        result = resume_run(
            run,
            overrides or [],
            runs_dir=runs_dir,
            project=Project.of(config_dir, trust),
            command=["dlrun", *sys.argv[1:]],
            started_at=process.started_at(),
            quiet=quiet,
        )
        print_run(out, result, as_json)
