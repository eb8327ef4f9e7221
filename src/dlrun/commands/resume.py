"""``dlrun resume``."""

import logging
import sys
from pathlib import Path

from dlrun.commands.arguments import ConfigDir, Json, Overrides, Quiet, Run, RunsDir, Trust
from dlrun.commands.terminal import print_result, reported


def resume(
    run: Run,
    overrides: Overrides = None,
    config_dir: ConfigDir = None,
    trust: Trust = None,
    runs_dir: RunsDir = Path("runs"),
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Go on with a run that was stopped or killed, or for more epochs.

    It ends with the numbers of a run that never stopped, to the bit on the same backend, versions
    and cores. What may change: epochs, backend, device, loop, callbacks, optimizer.learning_rate,
    feed, export.

    \b
    Examples:
      dlrun resume latest
      dlrun resume latest epochs=20
      dlrun resume runs/mnist_mlp/2026-11-21_10-04-31_k3f9 backend=torch
    """
    with reported(quiet) as out:
        from dlrun.api.resume import resume as run_again
        from dlrun.report.tables import train_table
        from dlrun.system import process

        result = run_again(
            run,
            overrides or [],
            runs_dir=runs_dir,
            config_dir=config_dir,
            trusted=trust or [],
            command=["dlrun", *sys.argv[1:]],
            started_at=process.started_at(),
            quiet=quiet,
        ).to_dict()
        print_result(out, result, as_json, train_table)
        logging.getLogger("dlrun").info("next   dlrun evaluate %s", result["run_dir"])
