"""The checkpoints of a run: names, order, and removal."""

import re
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from dlrun.errors import DlrunError
from dlrun.system.files import is_dir, read_json

ARRAYS, STATE, MANIFEST = "arrays.npz", "state.json", "manifest.json"


class Position(NamedTuple):
    """A position in training.

    Args:
        epochs: Completed epochs.
        steps: Completed steps of the next epoch.
    """

    epochs: int
    steps: int = 0

    def __str__(self) -> str:
        return (
            f"step {self.steps} of epoch {self.epochs + 1}"
            if self.steps
            else f"epoch {self.epochs}"
        )


START = Position(0)


def list_positions(directory: Path) -> list[Position]:
    """The positions of all checkpoints, in order."""
    if not is_dir(directory):
        return []
    positions = []
    for entry in directory.iterdir():
        if match := re.fullmatch(r"epoch-([0-9]{4,})(?:-step-([0-9]{6,}))?", entry.name):
            epoch, steps = int(match[1]), int(match[2] or 0)
            positions.append(Position(epoch - 1, steps) if steps else Position(epoch))
    return sorted(positions)


def describe_newest(directory: Path) -> str:
    """What a run can go on from, in words."""
    positions = list_positions(directory)
    return f"the newest checkpoint is of {positions[-1]}" if positions else "no checkpoint yet"


def list_epochs(directory: Path) -> list[int]:
    """The completed epochs that have a checkpoint, in order."""
    return [at.epochs for at in list_positions(directory) if not at.steps]


def checkpoint_path(directory: Path, at: Position) -> Path:
    """A checkpoint's path: ``epoch-0003``, or ``epoch-0003-step-000150`` within an epoch."""
    if at.steps:
        return directory / f"epoch-{at.epochs + 1:04d}-step-{at.steps:06d}"
    return directory / f"epoch-{at.epochs:04d}"


def prune_checkpoints(directory: Path, keep: Collection[Position]) -> None:
    """Remove all checkpoints except those to keep."""
    for at in list_positions(directory):
        if at not in keep:
            remove_checkpoint(checkpoint_path(directory, at))


def remove_leftovers(directory: Path) -> None:
    """Remove partial files of a process that was killed while writing or removing."""
    for pattern in (".*.partial-*", ".removed-*"):
        for leftover in directory.glob(pattern):
            shutil.rmtree(leftover, ignore_errors=True)


def read_best_epoch(directory: Path) -> int | None:
    """The best epoch so far, from the newest checkpoint; None if there is no checkpoint.

    Raises:
        DlrunError: If no epoch is the best, or the newest checkpoint's state can't be read.
    """
    epochs = list_epochs(directory)
    if not epochs:
        return None
    path = checkpoint_path(directory, Position(epochs[-1])) / STATE
    try:
        best = read_json(path)["best"]
        if best is None:
            raise DlrunError(
                f"{directory.parent} has no best epoch: the value that decides it was not finite"
                f" in any of {epochs[-1]}",
                hint="--checkpoint last",
            )
        return int(best["epoch"])
    except (OSError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise DlrunError(
            f"checkpoint {path.parent} can't be read: {error}",
            hint=suggest_other_checkpoints(path.parent),
        ) from error


def suggest_other_checkpoints(path: Path) -> str:
    """A hint that names the run's other checkpoints."""
    epochs = list_epochs(path.parent)
    others = [epoch for epoch in epochs if checkpoint_path(path.parent, Position(epoch)) != path]
    if not others:
        return "the run has no other checkpoint; train it again"
    return f"use another checkpoint: --checkpoint {' or '.join(map(str, others))}"


def remove_checkpoint(path: Path) -> None:
    """Remove one checkpoint atomically."""
    # Renamed first: an interrupted removal must not leave half a checkpoint.
    removed = path.with_name(f".removed-{path.name}")
    shutil.rmtree(removed, ignore_errors=True)
    path.rename(removed)
    shutil.rmtree(removed, ignore_errors=True)
