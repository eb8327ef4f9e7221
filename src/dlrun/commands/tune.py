"""``dlrun tune``."""

import logging
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from dlrun.commands.arguments import ConfigDir, Json, Overrides, Quiet, Trust, require_choice
from dlrun.commands.terminal import print_result, report_errors
from dlrun.config.project import Project
from dlrun.errors import DlrunError


def tune(
    what: Annotated[
        str, typer.Argument(metavar="WHAT", help="batch_size or learning_rate.", show_default=False)
    ],
    overrides: Overrides = None,
    minimum: Annotated[
        float | None,
        typer.Option("--min", help="The first value; by default 16, or a learning rate of 1e-7."),
    ] = None,
    maximum: Annotated[
        float | None,
        typer.Option("--max", help="The last; by default what fits, or a learning rate of 10."),
    ] = None,
    method: Annotated[
        str | None, typer.Option(help="For batch_size: power doubles, binary then narrows the gap.")
    ] = None,
    memory_limit: Annotated[
        float | None,
        typer.Option(
            metavar="GB",
            help="For batch_size: what a process may take; by default 80 % of what is available.",
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(min=10, help="For learning_rate: how many updates; by default 100."),
    ] = None,
    smoothing: Annotated[
        float | None,
        typer.Option(help="For learning_rate: a loss's weight one step away; else 1 - 10 / steps."),
    ] = None,
    budget: Annotated[float, typer.Option(help="Seconds for everything, at most.")] = 110.0,
    config_dir: ConfigDir = None,
    trust: Trust = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Find a batch size or a learning rate, as an override to copy.

    batch_size: the largest that fits and the fastest; each is measured in a process of its own,
    within the memory that is available.

    learning_rate: it rises in each step of a short training; the loss shows where it falls fastest
    and where it diverges. The curve is kept as CSV, JSON and picture.

    \b
    Examples:
      dlrun tune learning_rate model=mnist_mlp optimizer=adam
      dlrun tune learning_rate model=mnist_convnet --min 1e-5 --max 1 --steps 200
      dlrun tune batch_size model=mnist_mlp backend=jax
      dlrun tune batch_size model=mnist_convnet --max 1024 --method binary
    """
    with report_errors(quiet) as out:
        require_choice("tune", what, ("batch_size", "learning_rate"), {"lr": "learning_rate"})
        own: dict[str, dict[str, Any]] = {
            "batch_size": {"method": method, "memory_limit": memory_limit},
            "learning_rate": {"steps": steps, "smoothing": smoothing},
        }
        for other, options in own.items():
            _refuse_foreign(what, other, options)
        given = {"minimum": minimum, "maximum": maximum, **own[what]}
        chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        chosen |= {"budget": budget, "project": Project.of(config_dir, trust)}
        if what == "batch_size":
            from dlrun.proofs.batch_size_search import METHODS, SizeSettings
            from dlrun.proofs.tune_batch_size import tune_batch_size
            from dlrun.report.batch_sizes import sizes_text

            if method is not None:
                require_choice("--method", method, METHODS)
            for flag, name in (("--min", "minimum"), ("--max", "maximum")):
                if name in chosen:
                    chosen[name] = _whole(flag, chosen[name])
            result = tune_batch_size(overrides or [], SizeSettings(**chosen))
            print_result(out, result, as_json, sizes_text)
            return
        from dlrun.proofs.tune_learning_rate import RangeSettings, tune_learning_rate
        from dlrun.report.range_test import range_text

        result = tune_learning_rate(overrides or [], RangeSettings(**chosen))
        print_result(out, result, as_json, range_text)
        logging.getLogger("dlrun").info("curve  %s", result["directory"])
        if not result["use"]:
            raise DlrunError(
                f"no learning rate is suggested: {result['reason']}",
                hint="more time, as by --budget 300"
                if result["stopped_by"] == "time"
                else "widen the range with --min and --max, or take more --steps",
                exit_code=1,
            )


def _refuse_foreign(what: str, other: str, options: Mapping[str, Any]) -> None:
    for name, value in options.items():
        if what != other and value is not None:
            raise DlrunError(f"--{name.replace('_', '-')} is an option of 'dlrun tune {other}'")


def _whole(flag: str, value: float) -> int:
    if not value.is_integer():
        raise DlrunError(f"{flag} {value:g}: expected a whole number")
    return int(value)
