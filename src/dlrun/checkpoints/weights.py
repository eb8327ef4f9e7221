"""Load a checkpoint's variables into a model, its optimizer and its metrics."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun.errors import DlrunError

if TYPE_CHECKING:  # reporting a wrong command needs no NumPy
    from dlrun.checkpoints.format import CheckpointData, Variable


def restore_weights(model: Any, checkpoints: Path, epoch: int) -> None:
    """Load an epoch's variables into a model.

    Raises:
        DlrunError: If the checkpoint is damaged or does not match the model.
    """
    from dlrun.checkpoints.format import read_checkpoint
    from dlrun.checkpoints.store import Position, checkpoint_path

    path = checkpoint_path(checkpoints, Position(epoch))
    assign_weights(model, read_checkpoint(path, history=False), path)


def assign_weights(model: Any, saved: CheckpointData, path: Path) -> None:
    """Assign the saved values to a model's variables, in order.

    Raises:
        DlrunError: If the number of variables, a shape or the model's architecture differs.
    """
    from dlrun.checkpoints import architecture

    differences = _shape_differences(model.variables, saved.model)
    if description := saved.state.get("architecture"):  # missing in the first version
        differences += architecture.differences(architecture.describe(model), description)
    _refuse("model", differences, path)
    for variable, value in zip(model.variables, saved.model, strict=True):
        variable.assign(value.value)


def assign_optimizer(model: Any, saved: CheckpointData, path: Path) -> None:
    """Assign the saved values to the variables of a model's optimizer, in order.

    Raises:
        DlrunError: If the number of variables, a shape or the optimizer's class differs.
    """
    from dlrun.checkpoints import architecture

    optimizer = model.optimizer
    differences = _shape_differences(optimizer.variables, saved.optimizer)
    if saved_layers := saved.state.get("architecture"):
        layers = architecture.describe(model, optimizer)
        differences += architecture.differences(layers, saved_layers)
    _refuse("optimizer", differences, path)
    for variable, value in zip(optimizer.variables, saved.optimizer, strict=True):
        variable.assign(value.value)


def assign_metrics(model: Any, saved: CheckpointData, path: Path) -> None:
    """Assign the saved values to a model's running metrics, in order.

    Raises:
        DlrunError: If the number of variables or a shape differs.
    """
    _refuse("metric", _shape_differences(model.metrics_variables, saved.metrics), path)
    for variable, value in zip(model.metrics_variables, saved.metrics, strict=True):
        variable.assign(value.value)


def _refuse(part: str, differences: Sequence[str], path: Path) -> None:
    if differences:
        more = f"; {len(differences) - 3} more" if len(differences) > 3 else ""
        raise DlrunError(
            f"checkpoint {path} is of another {part}: {'; '.join(differences[:3])}{more}",
            hint="use the code, the data set and the options of the training run",
        )


def _shape_differences(variables: Sequence[Any], saved: Sequence[Variable]) -> list[str]:
    """The first variable that is missing or has another shape."""
    labels = [f"{v.path} {tuple(v.shape)}" for v in variables]
    saved_labels = [f"{v.path} {v.value.shape}" for v in saved]
    shapes = zip_longest((tuple(v.shape) for v in variables), (v.value.shape for v in saved))
    first = next((i for i, (shape, other) in enumerate(shapes) if shape != other), None)
    if first is None:
        return []
    has, had = (
        label[first] if first < len(label) else "no more" for label in (labels, saved_labels)
    )
    return [f"at variable {first} the model has {has}, the checkpoint {had}"]
