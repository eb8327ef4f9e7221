"""``dlrun bench``."""

import logging
import math
from typing import Annotated

import typer

from dlrun.commands.arguments import ConfigDir, Json, Overrides, Quiet, Trust, require_choice
from dlrun.commands.terminal import print_result, report_errors
from dlrun.errors import DlrunError


def bench(
    overrides: Overrides = None,
    names: Annotated[
        str | None,
        typer.Option("--backends", help="Comma-separated; by default all installed backends."),
    ] = None,
    loops: Annotated[
        str | None, typer.Option("--loops", help="Comma-separated; by default fit,train_step,raw.")
    ] = None,
    budget: Annotated[float, typer.Option(help="Seconds for everything, at most.")] = 110.0,
    config_dir: ConfigDir = None,
    trust: Trust = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Measure how fast a model trains and predicts on each backend, in each loop.

    Each has a process of its own: its start, the first step (it compiles), a step, memory, and a
    prediction by batch size. With the time that is left, other settings of the fastest loops are
    tried.

    \b
    Examples:
      dlrun bench model=mnist_convnet
      dlrun bench model=text_lstm --backends jax,torch --loops fit,raw
      dlrun bench model=mnist_mlp loop=raw --budget 40 --json
    """
    with report_errors(quiet) as out:
        from dlrun import backends
        from dlrun.loops import LOOPS
        from dlrun.proofs.bench import Settings
        from dlrun.proofs.bench import bench as run
        from dlrun.report.bench import bench_table

        chosen, of_loops = (
            [word.strip() for word in (typed or "").split(",") if word.strip()]
            for typed in (names, loops)
        )
        trainable = tuple(name for name in backends.names() if backends.module(name).TRAINS)
        for name in chosen:
            require_choice("--backends", name, trainable)
        for name in of_loops:
            require_choice("--loops", name, LOOPS)
        if not (budget > 0 and math.isfinite(budget)):
            raise DlrunError(f"--budget {budget}: expected a number of seconds above 0")
        settings = Settings(budget, chosen, of_loops, config_dir, tuple(trust or ()))
        result = run(overrides or [], settings)
        print_result(out, result, as_json, bench_table)
        logging.getLogger("dlrun").info("kept in %s", result["kept"])
