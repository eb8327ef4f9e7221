"""``dlrun bench``."""

import logging
import math
from typing import Annotated

import typer

from dlrun.commands.arguments import (
    ConfigDir,
    Json,
    Overrides,
    Quiet,
    TrainingBackends,
    Trust,
    require_choice,
    split_words,
)
from dlrun.commands.terminal import print_result, report_errors
from dlrun.config.project import Project
from dlrun.errors import DlrunError


def bench(
    overrides: Overrides = None,
    names: TrainingBackends = None,
    loops: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME,...", help="Comma-separated or repeated; by default fit,train_step,raw."
        ),
    ] = None,
    batch: Annotated[
        bool,
        typer.Option("--batch", help="Find batch sizes too, in place of trying other settings."),
    ] = False,
    memory_limit: Annotated[
        float | None,
        typer.Option(
            metavar="GB",
            help="With --batch: what a process may take; by default 80 % of what is available.",
        ),
    ] = None,
    budget: Annotated[
        float | None,
        typer.Option(help="Seconds for everything, at most; by default 110, or 300 with --batch."),
    ] = None,
    config_dir: ConfigDir = None,
    trust: Trust = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Measure how fast a model trains and predicts on each backend, in each loop.

    Each is measured in a process of its own: the start, the first step with its compilation, a
    step, memory, and predictions by batch size. In the time that is left, other settings of the
    fastest loops are tried. With --batch, batch sizes are tried instead, as with 'dlrun tune
    batch_size': for the fastest loop of each backend, or for each loop in --loops.

    \b
    Examples:
      dlrun bench model=mnist_convnet
      dlrun bench model=text_lstm --backends jax,torch --loops fit,raw
      dlrun bench model=mnist_mlp loop=raw --budget 40 --json
      dlrun bench model=mnist_convnet --batch --memory-limit 4
    """
    with report_errors(quiet) as out:
        from dlrun import backends
        from dlrun.loops import LOOPS
        from dlrun.proofs.bench import Settings
        from dlrun.proofs.bench import bench as run
        from dlrun.report.bench import bench_table

        chosen, of_loops = split_words(names), split_words(loops)
        trainable = tuple(name for name in backends.names() if backends.module(name).TRAINS)
        for name in chosen:
            require_choice("--backends", name, trainable)
        for name in of_loops:
            require_choice("--loops", name, LOOPS)
        if budget is not None and not (budget > 0 and math.isfinite(budget)):
            raise DlrunError(f"--budget {budget}: expected a number of seconds above 0")
        if memory_limit is not None and not batch:
            raise DlrunError("--memory-limit is an option of --batch", hint="add --batch")
        settings = Settings(
            budget, chosen, of_loops, Project.of(config_dir, trust), batch, memory_limit
        )
        result = run(overrides or [], settings)
        print_result(out, result, as_json, bench_table)
        logging.getLogger("dlrun").info("kept in %s", result["kept"])
