"""Whether two runs are the same to the bit: their checkpoints and their metrics."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlrun.runs.directory import CHECKPOINTS, METRICS
from dlrun.runs.history import read_rows


def compare_bits(straight: Path, killed: Path) -> tuple[int, list[str]]:
    """Compare the checkpoints and the metrics of two runs, bit by bit.

    Args:
        straight: The directory of the run that was not interrupted.
        killed: That of the other one.

    Returns:
        The number of arrays compared, and what differs, in words.
    """
    from dlrun.checkpoints.format import PARTS, read_checkpoint
    from dlrun.checkpoints.store import checkpoint_path, list_positions

    differences, arrays = [], 0
    positions = [list_positions(run / CHECKPOINTS) for run in (straight, killed)]
    # Of many short epochs, the clock decides which get a checkpoint; the last always does.
    if positions[0][-1:] != positions[1][-1:]:
        differences.append(f"checkpoints: {_join(positions[0])} and {_join(positions[1])}")
    for at in (at for at in positions[0] if at in positions[1]):
        expected, actual = (
            read_checkpoint(checkpoint_path(run / CHECKPOINTS, at)) for run in (straight, killed)
        )
        for part in PARTS:
            for a, b in zip(getattr(expected, part), getattr(actual, part), strict=True):
                arrays += 1
                if a.value.tobytes() != b.value.tobytes():
                    differences.append(f"{at}: {part} {a.path}")
        for run_state in (expected.state, actual.state):
            for row in run_state["callbacks"].get("csv", {}).get("rows", []):
                row.pop("seconds", None)
        differences += [
            f"{at}: {key}" for key in expected.state if expected.state[key] != actual.state[key]
        ]
    tables = [[{**row, "seconds": ""} for row in read_rows(run)] for run in (straight, killed)]
    if tables[0] != tables[1]:
        differences.append(METRICS)
    return arrays, differences


def _join(positions: Sequence[Any]) -> str:
    return ", ".join(map(str, positions)) or "none"
