"""The arguments and options that several commands share.

Completion reads them too, and those of each command: a ``metavar`` that begins with ``RUN`` stands
for a run, and of one such as ``best|last|EPOCH`` the words in small letters are offered.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dlrun.errors import DlrunError, nearest

Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="OVERRIDES", help="Hydra overrides: key=value, group=option."),
]
Run = Annotated[
    str,
    typer.Argument(metavar="RUN", help="A run directory, its id, or 'latest'.", show_default=False),
]
RunOrFile = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="A run directory, its id, 'latest', or an exported file.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but the result.")]
ConfigDir = Annotated[
    Path | None,
    typer.Option(help="A project: its modules and configs/; by default the working directory."),
]
Trust = Annotated[
    list[str] | None,
    typer.Option(
        metavar="MODULE",
        help="Also trust this module, though no option of your own names it; repeatable.",
    ),
]
RunsDir = Annotated[Path, typer.Option(help="Where to look for 'latest' and ids.")]
Backends = Annotated[
    list[str] | None,
    typer.Option(
        "--backends",
        "--backend",
        metavar="NAME,...",
        help="Comma-separated or repeated; by default all installed backends.",
    ),
]
TrainingBackends = Annotated[
    list[str] | None,
    typer.Option(
        "--backends",
        "--backend",
        metavar="NAME,...",
        help="Comma-separated or repeated; by default all installed ones that can train.",
    ),
]
SPLITS = {"val": "validation", "valid": "validation", "dev": "validation"}  # in other tools
Which = Annotated[
    str,
    typer.Option(
        "--checkpoint", metavar="best|last|EPOCH", help="The epoch to load: best, last or a number."
    ),
]


def require_choice(
    name: str, value: str, options: Sequence[str], short: Mapping[str, str] | None = None
) -> None:
    """Check that a value is one of the options.

    Args:
        name: Of what takes the value.
        value: As typed.
        options: The valid ones.
        short: What people type for one of them, for the hint.

    Raises:
        DlrunError: If it is not; the hint names the nearest option.
    """
    if value not in options:
        near = (short or {}).get(value) or nearest(value, options)
        raise DlrunError(
            f"{name} {value}: expected one of {', '.join(options)}",
            hint=f"did you mean {near}?" if near else None,
        )


def split_words(typed: Sequence[str] | None) -> list[str]:
    """The words between the commas of an option that may be repeated; none if it was not typed."""
    words = (word.strip() for part in typed or () for word in part.split(","))
    return list(dict.fromkeys(filter(None, words)))


class Place(StrEnum):
    """What the horizontal axis of curves is."""

    epoch = "epoch"
    step = "step"
    samples = "samples"
    seconds = "seconds"


By = Annotated[
    Place, typer.Option(help="Axis of the curves: epoch, step, samples or seconds of training.")
]
