"""``dlrun summary``."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from dlrun.commands.arguments import ConfigDir, Json, Overrides, Trust
from dlrun.commands.terminal import print_result, report_errors
from dlrun.config.project import Project


def summary(
    overrides: Overrides = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the model's graph to a .png, .svg or .pdf.")
    ] = None,
    memory: Annotated[
        bool,
        typer.Option("--memory", help="Also estimate the memory of a training step and a run."),
    ] = False,
    config_dir: ConfigDir = None,
    trust: Trust = None,
    as_json: Json = False,
) -> None:
    """Print a model's layers, output shapes and parameters, without training.

    With --memory, up to seventy steps are trained on a CPU, and nothing is kept. The estimate of
    what a run's process takes is within a fifth. With large convolutions on jax, where equal runs
    differ by a quarter, leave room for 1.5 times as much.

    \b
    Examples:
      dlrun summary model=mnist_convnet
      dlrun summary model.units=64 --plot model.png
      dlrun summary model=resnet batch_size=256 --memory
    """
    with report_errors() as out:
        from dlrun.api.summary import summary as run_summary

        result, layers = run_summary(
            overrides or [], project=Project.of(config_dir, trust), plot=plot, memory=memory
        )
        print_result(out, result, as_json, lambda _: layers)
        if plot is not None:
            logging.getLogger("dlrun").info("plot   %s", plot)
