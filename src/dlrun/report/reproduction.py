"""The Markdown table of the books' results and dlrun's results."""

import platform
from collections.abc import Iterator, Sequence
from typing import Any

from dlrun import __version__
from dlrun.system import process

HEAD = """# Results

Written by `dlrun reproduce`; every number is from a run. It compares what the books print with what
dlrun got on each backend and in each loop, and on real data a network with a linear model
of scikit-learn on the same rows. The seconds are those of the whole run, from the start of the
process to the test. A number in **bold** did not reach its limit.

dlrun {version}, Python {python}, {cores} cores, {system}.
"""


def markdown(cells: Sequence[Any]) -> str:
    """One section per experiment, a row per backend, a column per loop.

    Args:
        cells: The cells from ``dlrun.proofs.reproduce``.
    """
    lines = [
        HEAD.format(
            version=__version__,
            python=platform.python_version(),
            cores=process.cores(),
            system=f"{platform.system()} {platform.machine()}",
        )
    ]
    experiments = dict.fromkeys(cell.experiment for cell in cells)
    for experiment in experiments:
        lines += _section([cell for cell in cells if cell.experiment == experiment])
    return "\n".join(lines) + "\n"


def _section(cells: Sequence[Any]) -> Iterator[str]:
    claim = cells[0].claim
    limits = (("at least", claim.least), ("at most", claim.most))
    limit = ", ".join(f"{words} {value:g}" for words, value in limits if value is not None)
    yield f"## {cells[0].experiment}\n"
    compared = claim.baseline or f"The books print {claim.prints}"
    yield f"{claim.system}. {compared}. Here: {claim.metric}, {limit}.\n"
    loops = list(dict.fromkeys(cell.loop for cell in cells))
    by_key = {(cell.backend, cell.loop): cell for cell in cells}
    yield "| backend | " + " | ".join(loops) + " |"
    yield "|---" * (len(loops) + 1) + "|"
    for backend in dict.fromkeys(cell.backend for cell in cells):
        row = [_format_cell(by_key.get((backend, loop))) for loop in loops]
        yield f"| {backend} | " + " | ".join(row) + " |"
    yield ""


def _format_cell(cell: Any) -> str:
    if cell is None:
        return ""
    if cell.value is None:
        return f"failed: {cell.error or 'no finite number'}"
    number = f"{cell.value:.4f}" if cell.reached else f"**{cell.value:.4f}**"
    return f"{number} ({cell.result['seconds']['total']:.0f} s)"
