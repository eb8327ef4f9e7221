"""The command line: parse, call, print. No logic, and nothing heavy imported too early."""

import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from dlrun import __version__
from dlrun.errors import DlrunError
from dlrun.terminal import open_standard_streams, print_result, reported

app = typer.Typer(
    name="dlrun",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Run deep-learning experiments from config files, on any Keras 3 backend.\n\n"
    "\b\nExamples:\n"
    "  dlrun train backend=jax model=mnist_mlp\n"
    "  dlrun evaluate latest backend=torch --fail-under accuracy=0.97\n"
    "  dlrun list model",
)

Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[OVERRIDES]...", help="Hydra overrides: key=value, group=option."),
]
Run = Annotated[str, typer.Argument(help="A run directory, or 'latest'.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but the result.")]
ConfigDir = Annotated[
    Path | None,
    typer.Option(help="Your own options, as DIR/model/my_model.yaml; by default ./configs."),
]
RunsDir = Annotated[Path, typer.Option(help="Where 'latest' looks for runs.")]
Which = Annotated[
    str, typer.Option("--checkpoint", help="The epoch to load: best, last or a number.")
]


def main() -> None:
    """Entry point of the ``dlrun`` command."""
    open_standard_streams()
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        print(f"dlrun {__version__}")
        raise typer.Exit


@app.command()
def train(
    overrides: Overrides = None,
    export_keras: Annotated[
        bool, typer.Option("--export-keras", help="Also write a standard model.keras.")
    ] = False,
    config_dir: ConfigDir = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Train a model, keep its best epoch, and evaluate it on the test split.

    \b
    Examples:
      dlrun train backend=jax model=mnist_mlp
      dlrun train experiment=first_network backend=torch
      dlrun train optimizer.learning_rate=3e-4 +callbacks=tensorboard
      dlrun train smoke=true --json
    """
    with reported(quiet) as out:
        from dlrun.report.tables import train_table
        from dlrun.train import train as run

        typed = [*(overrides or []), *(["export_keras=true"] if export_keras else [])]
        result = run(typed, config_dir=config_dir, quiet=quiet)
        print_result(out, result, as_json, train_table)
        logging.getLogger("dlrun").info("next   dlrun evaluate %s", result["run_dir"])


@app.command()
def evaluate(
    run: Run,
    overrides: Overrides = None,
    checkpoint: Which = "best",
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "test",
    fail_under: Annotated[
        list[str] | None,
        typer.Option(metavar="METRIC=VALUE", help="Exit 1 if a metric is lower; repeatable."),
    ] = None,
    config_dir: ConfigDir = None,
    runs_dir: RunsDir = Path("runs"),
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Evaluate a run's model, on any backend; numpy too.

    \b
    Examples:
      dlrun evaluate latest
      dlrun evaluate latest backend=numpy data.limit=1000 --json
      dlrun evaluate latest --checkpoint last --fail-under accuracy=0.97
    """
    with reported(quiet) as out:
        if not checkpoint.isdigit():
            _one_of("--checkpoint", checkpoint, ("best", "last"))
        _one_of("--split", split, ("train", "validation", "test"))
        from dlrun.evaluate import evaluate as run_evaluation
        from dlrun.report.tables import evaluate_table

        result, failures = run_evaluation(
            run,
            overrides or [],
            which=checkpoint,
            split=split,
            fail_under=fail_under or [],
            runs_dir=runs_dir,
            config_dir=config_dir,
        )
        print_result(out, result, as_json, evaluate_table)
        if failures:
            raise DlrunError("; ".join(failures), exit_code=1)


@app.command()
def predict(
    run: Run,
    overrides: Overrides = None,
    source: Annotated[
        Path | None,
        typer.Option("--input", help="A .npy or .npz of samples; by default the test split."),
    ] = None,
    array: Annotated[str | None, typer.Option(help="Which array of an .npz with several.")] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="An .npz or .csv file; by default predictions.npz in the run."),
    ] = None,
    checkpoint: Which = "best",
    config_dir: ConfigDir = None,
    runs_dir: RunsDir = Path("runs"),
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Write a run's predictions for the test split or for your own arrays.

    \b
    Examples:
      dlrun predict latest --output predictions.csv
      dlrun predict latest --input digits.npy --output digits.npz
    """
    with reported(quiet) as out:
        if not checkpoint.isdigit():
            _one_of("--checkpoint", checkpoint, ("best", "last"))
        from dlrun.predict import predict as run_prediction

        result = run_prediction(
            run,
            overrides or [],
            which=checkpoint,
            source=source,
            array=array,
            output=output,
            runs_dir=runs_dir,
            config_dir=config_dir,
        )
        print_result(
            out, result, as_json, lambda r: f"{r['samples']:,} predictions written to {r['output']}"
        )


@app.command()
def summary(
    overrides: Overrides = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the model's graph, as .png, .svg or .pdf.")
    ] = None,
    config_dir: ConfigDir = None,
    as_json: Json = False,
) -> None:
    """Print a model's layers, their output shapes and parameters; nothing is trained.

    \b
    Examples:
      dlrun summary model=mnist_convnet
      dlrun summary model.units=64 --plot model.png
    """
    with reported() as out:
        from dlrun.summary import summary as run_summary

        result, layers = run_summary(overrides or [], config_dir=config_dir, plot=plot)
        print_result(out, result, as_json, lambda _: layers)
        if plot is not None:
            logging.getLogger("dlrun").info("plot   %s", plot)


@app.command()
def config(
    overrides: Overrides = None, config_dir: ConfigDir = None, as_json: Json = False
) -> None:
    """Print the config that a run would have; nothing is trained or imported.

    \b
    Examples:
      dlrun config model=mnist_mlp model.units=256
      dlrun config experiment=first_network --json
    """
    with reported() as out:
        from dataclasses import asdict

        from dlrun.config.compose import compose, to_yaml

        composed = compose(overrides or [], config_dir=config_dir)
        print_result(out, asdict(composed), as_json, lambda _: to_yaml(composed).rstrip())


@app.command("list")
def list_(
    group: Annotated[str | None, typer.Argument(help="One group, such as model.")] = None,
    config_dir: ConfigDir = None,
    as_json: Json = False,
) -> None:
    """List the options that there are to choose from, by group.

    \b
    Examples:
      dlrun list
      dlrun list model
    """
    with reported() as out:
        from dlrun.config.options import list_options
        from dlrun.report.tables import options_table

        options = list_options(config_dir)
        if group is not None:
            _one_of("group", group, tuple(options))
            options = {group: options[group]}
        print_result(out, options, as_json, options_table)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Report Python, the backends, their devices, and how to install what is missing.

    \b
    Example:
      dlrun doctor --json
    """
    with reported() as out:
        from dlrun.doctor import doctor as examine
        from dlrun.report.tables import doctor_table

        print_result(out, examine(), as_json, doctor_table)


@app.command()
def reproduce(
    experiments: Annotated[
        list[str] | None, typer.Argument(help="By name; by default all that are not slow.")
    ] = None,
    backend: Annotated[
        list[str] | None, typer.Option(help="May be given again; by default all that can train.")
    ] = None,
    slow: Annotated[bool, typer.Option("--slow", help="Also those of more than minutes.")] = False,
    output: Annotated[Path, typer.Option(help="The table, as Markdown.")] = Path("RESULTS.md"),
    runs_dir: RunsDir = Path("runs"),
    config_dir: ConfigDir = None,
    as_json: Json = False,
) -> None:
    """Run the experiments of the source material, and write what they got into a table.

    What this version of dlrun has run already, in RUNS_DIR/reproduce, is not run again.

    \b
    Examples:
      dlrun reproduce
      dlrun reproduce first_network linear_classifier --backend jax
    """
    with reported() as out:
        from dlrun.report.tables import reproduction_line
        from dlrun.reproduce import reproduce as run

        result = run(
            experiments or (),
            chosen=backend or (),
            slow=slow,
            output=output,
            runs_dir=runs_dir,
            config_dir=config_dir,
        )
        print_result(out, result, as_json, reproduction_line)
    if result["not_reached"]:
        raise typer.Exit(1)


def _one_of(name: str, value: str, options: tuple[str, ...]) -> None:
    if value not in options:
        import difflib

        near = difflib.get_close_matches(value, options, n=1)
        raise DlrunError(
            f"{name} {value}: expected one of {', '.join(options)}",
            hint=f"did you mean {near[0]}?" if near else None,
        )
