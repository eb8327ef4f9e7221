"""Save plots with matplotlib, if installed, atomically."""

from pathlib import Path
from typing import Any

from dlrun.errors import DlrunError
from dlrun.system.files import is_dir, replacing
from dlrun.system.packages import require_matplotlib

SUFFIXES = (".png", ".svg", ".pdf")


def check_plot(plot: Path) -> None:
    """Check the path of ``--plot`` before the work starts.

    Raises:
        DlrunError: If matplotlib is not installed, or the path is not an image file name.
    """
    require_matplotlib("--plot")
    if is_dir(plot):
        raise DlrunError(f"--plot {plot} is a directory", hint=f"--plot {plot / 'plot.png'}")
    if plot.suffix.lower() not in SUFFIXES:
        raise DlrunError(
            f"--plot {plot}: expected a name that ends in {', '.join(SUFFIXES)}",
            hint=f"--plot {plot.with_suffix('.png')}",
        )


def save_plot(figure: Any, plot: Path, *, dpi: int = 120) -> None:
    """Write the figure for ``--plot`` with :func:`save`.

    Raises:
        DlrunError: If it can't be written.
    """
    try:
        save(figure, plot, dpi=dpi)
    except OSError as error:
        raise DlrunError(f"can't write {plot}: {error.strerror or error}", exit_code=1) from error


def save(figure: Any, path: Path, *, dpi: int = 120) -> None:
    """Write a figure atomically; the suffix determines the format.

    Args:
        figure: A ``matplotlib.figure.Figure`` made without pyplot, which would keep it in memory
            and choose a window system.
        path: The file; its directory is created if missing.
        dpi: Dots per inch.

    Raises:
        OSError: If it can't be written; an existing file is unchanged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        figure.savefig(partial, dpi=dpi)
