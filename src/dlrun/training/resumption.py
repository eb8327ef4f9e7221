"""What a resumed run has behind it, and how it is given that back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun.checkpoints.format import CheckpointData, read_checkpoint
from dlrun.checkpoints.store import Position, checkpoint_path

if TYPE_CHECKING:  # Keras is not imported before the backend is started
    import keras

    from dlrun.backends import BackendModule


@dataclass(frozen=True)
class Resumption:
    """What a resumed run has behind it.

    Args:
        at: How far it had come.
        path: Its checkpoint.
        saved: What that holds.
        learning_rate: What it goes on with; None for what it had.
        stopped: Whether a callback had ended it already.
    """

    at: Position
    path: Path
    saved: CheckpointData
    learning_rate: float | None = None
    stopped: bool = False


def restore_training_state(
    model: Any, callbacks: Mapping[str, Any], backend: BackendModule, behind: Resumption
) -> keras.callbacks.Callback:
    """Give model and optimizer what they had.

    Args:
        model: Compiled.
        callbacks: The run's own, by name.
        backend: The backend in use.
        behind: What the run has behind it.

    Returns:
        The callback that does the rest when training begins; to be called last.
    """
    from dlrun.callbacks.checkpoint import Checkpoint
    from dlrun.callbacks.counters import epochs_to_restore
    from dlrun.checkpoints.weights import assign_metrics, assign_optimizer, assign_weights
    from dlrun.training.hooks.restore import Restore, RestoreStep

    saved, at = behind.saved, behind.at

    def variables() -> None:
        assign_weights(model, saved, behind.path)
        assign_optimizer(model, saved, behind.path)
        if behind.learning_rate is not None:
            model.optimizer.learning_rate = behind.learning_rate

    def within() -> None:
        variables()
        assign_metrics(model, saved, behind.path)
        if saved.random and saved.written_by.get("backend") == backend.PACKAGE:
            backend.set_random_state([one.value for one in saved.random])

    states = saved.state["callbacks"]
    weights = {}
    for name, epoch in epochs_to_restore(callbacks, states):
        path = checkpoint_path(behind.path.parent, Position(epoch))
        if path.is_dir():
            assign_weights(model, read_checkpoint(path), path)
            weights[name] = model.get_weights()
    variables()
    for callback in callbacks.values():
        if isinstance(callback, Checkpoint):
            callback.go_on(saved.state["history"], saved.state["best"])
    if at.steps:
        return RestoreStep(states, callbacks, weights, within)
    return Restore(states, callbacks, weights)
