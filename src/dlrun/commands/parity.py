"""``dlrun parity``."""

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from dlrun.commands.arguments import (
    Backends,
    ConfigDir,
    Json,
    Overrides,
    Quiet,
    Trust,
    require_choice,
    split_words,
)
from dlrun.commands.terminal import print_result, report_errors
from dlrun.config.project import Project
from dlrun.errors import DlrunError


def parity(
    overrides: Overrides = None,
    names: Backends = None,
    loops: Annotated[
        bool, typer.Option("--loops", help="Compare fit, train_step and raw on one backend.")
    ] = False,
    devices: Annotated[
        list[str] | None,
        typer.Option(
            metavar="N,...",
            help="Compare runs on these numbers of devices; the first is the reference.",
        ),
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Number of steps.")] = 50,
    tolerance: Annotated[
        float | None,
        typer.Option(
            help="Largest relative difference of a step's loss; by default the measured tolerance."
        ),
    ] = None,
    prediction_tolerance: Annotated[
        float | None, typer.Option(help="Largest difference of the predictions; by default 1e-5.")
    ] = None,
    random: Annotated[
        bool, typer.Option("--random", help="Leave dropout and other random layers on.")
    ] = False,
    every: Annotated[
        bool,
        typer.Option("--all", help="Compare on every model, optimizer, schedule, loss and metric."),
    ] = False,
    select: Annotated[
        list[str] | None,
        typer.Option(
            metavar="GROUP[=OPTION]", help="With --all: only this group or option; repeatable."
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="With --all: where to write the table, as Markdown.")
    ] = None,
    config_dir: ConfigDir = None,
    trust: Trust = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Compare backends, loops or devices: predictions, the loss of each step, and metrics.

    All start from the same weights and take the same batches, each in its own process.

    \b
    Examples:
      dlrun parity model=mnist_mlp
      dlrun parity model=mnist_convnet --backends jax,torch --steps 10
      dlrun parity --loops backend=tensorflow
      dlrun parity --devices 1,2,4 backend=jax loop=raw
      dlrun parity --all --select optimizer --select model=text_lstm
    """
    with report_errors(quiet) as out:
        from dlrun import backends
        from dlrun.proofs.parity_members import Settings

        chosen = split_words(names)
        for name in chosen:
            require_choice("--backends", name, tuple(backends.names()))
        for option, value in (("", tolerance), ("prediction-", prediction_tolerance)):
            if value is not None and not (value >= 0 and math.isfinite(value)):
                raise DlrunError(f"--{option}tolerance {value}: expected a number >= 0")
        settings = Settings(
            steps, tolerance, prediction_tolerance, random, Project.of(config_dir, trust)
        )
        counts = _counts(devices)
        if loops and counts:
            raise DlrunError("--loops and --devices are two comparisons", hint="leave out one")
        if every:
            if loops or counts:
                other = "--loops" if loops else "--devices"
                raise DlrunError("--all compares backends", hint=f"leave out {other}, or --all")
            from dlrun.proofs.parity_all import parity_all
            from dlrun.report.parity_all import summary_line

            result = parity_all(
                overrides or (),
                select=select or (),
                chosen=chosen,
                output=output,
                settings=settings,
            )
            print_result(out, result, as_json, summary_line)
            beyond = result["beyond"]
        else:
            for given, name in ((select, "--select"), (output, "--output")):
                if given:
                    raise DlrunError(f"{name} goes with --all", hint=f"add --all, or drop {name}")
            from dlrun.proofs.parity import parity as run
            from dlrun.report.parity import parity_table

            result = run(
                overrides or (), chosen=chosen, loops=loops, devices=counts, settings=settings
            )
            print_result(out, result, as_json, parity_table)
            beyond = [f"{name} ({', '.join(keys)})" for name, keys in result["beyond"].items()]
        logging.getLogger("dlrun").info("written to %s", result["directory"])
        if beyond:
            raise DlrunError(f"beyond tolerance: {', '.join(beyond)}", exit_code=1)


def _counts(devices: Sequence[str] | None) -> list[int]:
    """The numbers of devices, in their order."""
    words = split_words(devices)
    if devices and not (words and all(word.isdecimal() and int(word) for word in words)):
        typed = ",".join(devices)
        raise DlrunError(f"--devices {typed}: expected numbers from 1", hint="--devices 1,2,4")
    return list(dict.fromkeys(map(int, words)))
