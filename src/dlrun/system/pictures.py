"""Pictures, drawn by matplotlib where it is installed, written whole or not at all."""

import importlib.util
from pathlib import Path
from typing import Any

from dlrun.errors import DlrunError
from dlrun.system.files import replacing

SUFFIXES = (".png", ".svg", ".pdf")


def check_plot(plot: Path) -> None:
    """Check what was typed after ``--plot``, before the work that it is for.

    Raises:
        DlrunError: If it is no name of a picture, or none can be drawn.
    """
    require_matplotlib("--plot")
    if plot.is_dir():
        raise DlrunError(f"--plot {plot} is a directory", hint=f"--plot {plot / 'plot.png'}")
    if plot.suffix.lower() not in SUFFIXES:
        raise DlrunError(
            f"--plot {plot}: expected a name in {', '.join(SUFFIXES)}",
            hint=f"--plot {plot.with_suffix('.png')}",
        )


def save_plot(figure: Any, plot: Path, *, dpi: int = 120) -> None:
    """Write the picture that ``--plot`` asks for, as :func:`save` does.

    Raises:
        DlrunError: If it can't be written.
    """
    try:
        save(figure, plot, dpi=dpi)
    except OSError as error:
        raise DlrunError(f"can't write {plot}: {error.strerror or error}", exit_code=1) from error


def require_matplotlib(asker: str) -> None:
    """Check that pictures can be drawn, without importing anything.

    Args:
        asker: What needs them, for the error.

    Raises:
        DlrunError: If matplotlib is not installed.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise DlrunError(
            f"{asker} needs matplotlib, which is not installed", hint="pip install 'dlrun[plots]'"
        )


def save(figure: Any, path: Path, *, dpi: int = 120) -> None:
    """Write a figure, whole or not at all; the suffix tells the format.

    Args:
        figure: Made as a ``matplotlib.figure.Figure``: pyplot would keep it, and pick a window
            system.
        path: Where to; its directory is made if it is not there.
        dpi: Dots per inch.

    Raises:
        OSError: If it can't be written; what stood at ``path`` is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        figure.savefig(partial, dpi=dpi)
