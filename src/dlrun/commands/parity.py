"""``dlrun parity``."""

import logging
import math
from typing import Annotated

import typer

from dlrun.commands.arguments import ConfigDir, Json, Overrides, Quiet, Trust, one_of
from dlrun.commands.terminal import print_result, reported
from dlrun.errors import DlrunError


def parity(
    overrides: Overrides = None,
    names: Annotated[
        str | None,
        typer.Option("--backends", help="With commas between; by default all that are installed."),
    ] = None,
    loops: Annotated[
        bool, typer.Option("--loops", help="Compare fit, train_step and raw on one backend.")
    ] = False,
    steps: Annotated[int, typer.Option(min=1, help="How many steps to take.")] = 50,
    tolerance: Annotated[
        float | None,
        typer.Option(help="Of each step's loss, relative; by default what was measured."),
    ] = None,
    prediction_tolerance: Annotated[
        float | None, typer.Option(help="Of the predictions; by default 1e-5.")
    ] = None,
    random: Annotated[
        bool, typer.Option("--random", help="Leave dropout and other random layers on.")
    ] = False,
    config_dir: ConfigDir = None,
    trust: Trust = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Compare backends, or loops: predictions, the loss of each step, and metrics.

    All begin with the same weights and take the same batches, each in a process of its own.

    \b
    Examples:
      dlrun parity model=mnist_mlp
      dlrun parity model=mnist_convnet --backends jax,torch --steps 10
      dlrun parity --loops backend=tensorflow
    """
    with reported(quiet) as out:
        from dlrun import backends
        from dlrun.proofs.parity import parity as run
        from dlrun.report.parity import parity_table

        chosen = [name.strip() for name in (names or "").split(",") if name.strip()]
        for name in chosen:
            one_of("--backends", name, tuple(backends.names()))
        for option, value in (("", tolerance), ("prediction-", prediction_tolerance)):
            if value is not None and not (value >= 0 and math.isfinite(value)):
                raise DlrunError(f"--{option}tolerance {value}: expected a number from 0")
        result = run(
            overrides or [],
            chosen=chosen,
            loops=loops,
            steps=steps,
            tolerance=tolerance,
            prediction_tolerance=prediction_tolerance,
            random=random,
            config_dir=config_dir,
            trusted=trust or [],
        )
        print_result(out, result, as_json, parity_table)
        logging.getLogger("dlrun").info("written to %s", result["directory"])
        if not result["within"]:
            told = [f"{name} ({', '.join(whats)})" for name, whats in result["beyond"].items()]
            raise DlrunError(f"beyond tolerance: {', '.join(told)}", exit_code=1)
