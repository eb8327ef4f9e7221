"""The arguments and options that several commands share."""

import difflib
from pathlib import Path
from typing import Annotated

import typer

from dlrun.errors import DlrunError

Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="OVERRIDES", help="Hydra overrides: key=value, group=option."),
]
Run = Annotated[
    str, typer.Argument(help="A run directory, its id, or 'latest'.", show_default=False)
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but the result.")]
ConfigDir = Annotated[
    Path | None,
    typer.Option(help="Your own options, as DIR/model/my_model.yaml; by default ./configs."),
]
Trust = Annotated[
    list[str] | None,
    typer.Option(
        metavar="MODULE",
        help="Also call what is in this module, which no option of your own names; repeatable.",
    ),
]
RunsDir = Annotated[Path, typer.Option(help="Where 'latest' looks for runs.")]
Which = Annotated[
    str, typer.Option("--checkpoint", help="The epoch to load: best, last or a number.")
]


def one_of(name: str, value: str, options: tuple[str, ...]) -> None:
    """Refuse what is none of the options.

    Raises:
        DlrunError: With the nearest of them.
    """
    if value not in options:
        near = difflib.get_close_matches(value, options, n=1)
        raise DlrunError(
            f"{name} {value}: expected one of {', '.join(options)}",
            hint=f"did you mean {near[0]}?" if near else None,
        )
