"""Load the variables of a checkpoint into a model, its optimizer and its metrics."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun.errors import DlrunError

if TYPE_CHECKING:  # NumPy is not needed to tell that the command is wrong
    from dlrun.checkpoints.format import CheckpointData, Variable


def restore_weights(model: Any, checkpoints: Path, epoch: int) -> None:
    """Load an epoch's variables into a model.

    Raises:
        DlrunError: If the checkpoint is damaged or of another model.
    """
    from dlrun.checkpoints.format import read_checkpoint
    from dlrun.checkpoints.store import Position, checkpoint_path

    path = checkpoint_path(checkpoints, Position(epoch))
    assign_weights(model, read_checkpoint(path), path)


def assign_weights(model: Any, saved: CheckpointData, path: Path) -> None:
    """Give a model's variables their saved values, in order.

    Raises:
        DlrunError: If their number or a shape differs, or what the model does with them.
    """
    from dlrun.checkpoints import architecture

    found = _other_shapes(model.variables, saved.model)
    if described := saved.state.get("architecture"):  # which the first checkpoints did not have
        found += architecture.differences(architecture.describe(model), described)
    _refuse("model", found, path)
    for variable, value in zip(model.variables, saved.model, strict=True):
        variable.assign(value.value)


def assign_optimizer(model: Any, saved: CheckpointData, path: Path) -> None:
    """Give the variables of a model's optimizer their saved values, in order.

    Raises:
        DlrunError: If their number or a shape differs, or it is an optimizer of another kind.
    """
    from dlrun.checkpoints import architecture

    optimizer = model.optimizer
    found = _other_shapes(optimizer.variables, saved.optimizer)
    if described := saved.state.get("architecture"):
        found += architecture.differences(architecture.describe(model, optimizer), described)
    _refuse("optimizer", found, path)
    for variable, value in zip(optimizer.variables, saved.optimizer, strict=True):
        variable.assign(value.value)


def assign_metrics(model: Any, saved: CheckpointData, path: Path) -> None:
    """Give the running metrics of a model their saved values, in order.

    Raises:
        DlrunError: If their number or a shape differs.
    """
    _refuse("metric", _other_shapes(model.metrics_variables, saved.metrics), path)
    for variable, value in zip(model.metrics_variables, saved.metrics, strict=True):
        variable.assign(value.value)


def _refuse(part: str, found: Sequence[str], path: Path) -> None:
    if found:
        more = f"; {len(found) - 3} more" if len(found) > 3 else ""
        raise DlrunError(
            f"checkpoint {path} is of another {part}: {'; '.join(found[:3])}{more}",
            hint="it takes the code, the data set and the options that the run was trained with",
        )


def _other_shapes(variables: Sequence[Any], saved: Sequence[Variable]) -> list[str]:
    """The first variable that is of another shape, or is missing."""
    ours = [f"{v.path} {tuple(v.shape)}" for v in variables]
    theirs = [f"{v.path} {v.value.shape}" for v in saved]
    shapes = zip_longest((tuple(v.shape) for v in variables), (v.value.shape for v in saved))
    first = next((i for i, (one, other) in enumerate(shapes) if one != other), None)
    if first is None:
        return []
    has, had = (told[first] if first < len(told) else "no more" for told in (ours, theirs))
    return [f"at variable {first} the model has {has}, the checkpoint {had}"]
