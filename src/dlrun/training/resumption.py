"""Where a resumed run continues, and how its state is restored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun.checkpoints.format import CheckpointData, read_checkpoint
from dlrun.checkpoints.history import lines_of
from dlrun.checkpoints.store import Position, checkpoint_path
from dlrun.config.schema import Config
from dlrun.system.files import is_dir

if TYPE_CHECKING:  # Keras is not imported before the backend is started
    from dlrun.backends import Backend
    from dlrun.training.hooks.restore import Restore

# The fields of a resumption that are not its checkpoint's.
HOW = ("epochs", "max_steps", "learning_rate", "stopped")


@dataclass(frozen=True)
class Resumption:
    """The checkpoint that a resumed run continues from.

    Args:
        at: The checkpoint's position in training.
        path: The checkpoint's directory.
        saved: Its content.
        epochs: The run's number of epochs when that was written; None if ``max_steps`` decides.
        max_steps: Its number of steps; None if ``epochs`` decides.
        learning_rate: A new learning rate; None keeps the one of the checkpoint.
        stopped: Whether a callback had already ended the run.
    """

    at: Position
    path: Path
    saved: CheckpointData
    epochs: float | None
    max_steps: int | None = None
    learning_rate: float | None = None
    stopped: bool = False

    def of_before(self, config: Config) -> Config:
        """The config with the length that it had."""
        return replace(config, epochs=self.epochs, max_steps=self.max_steps)


def restore_training_state(
    model: Any, callbacks: Mapping[str, Any], backend: Backend, resumption: Resumption
) -> Restore:
    """Restore the variables of model and optimizer.

    Args:
        model: The compiled model.
        callbacks: The run's callbacks, by name.
        backend: The backend in use.
        resumption: Where the run continues.

    Returns:
        The callback that restores the rest when training begins; it must come last.
    """
    from dlrun.callbacks.checkpoint import Checkpoint
    from dlrun.callbacks.protocol import run_callback
    from dlrun.checkpoints.weights import assign_metrics, assign_optimizer, assign_weights
    from dlrun.training.hooks.restore import Restore, RestoreStep

    saved, at = resumption.saved, resumption.at

    def restore_variables() -> None:
        assign_weights(model, saved, resumption.path)
        assign_optimizer(model, saved, resumption.path)
        if resumption.learning_rate is not None:
            model.optimizer.learning_rate = resumption.learning_rate

    def restore_step() -> None:
        restore_variables()
        assign_metrics(model, saved, resumption.path)
        if saved.random and saved.written_by.get("backend") == backend.PACKAGE:
            backend.set_random_state([variable.value for variable in saved.random])

    states = saved.state["callbacks"]
    weights = {}
    for name, callback in callbacks.items():
        epoch = run_callback(callback).get_epoch_to_restore(states.get(name, {}))
        path = checkpoint_path(resumption.path.parent, Position(epoch or 0))
        if epoch is not None and is_dir(path):
            assign_weights(model, read_checkpoint(path, history=False), path)
            weights[name] = model.get_weights()
    restore_variables()
    for callback in callbacks.values():
        if isinstance(callback, Checkpoint):
            callback.continue_from(lines_of(saved.state), saved.state["best"])
    if at.steps:
        return RestoreStep(states, callbacks, weights, restore_step, saved.state["history"])
    return Restore(states, callbacks, weights, saved.state["history"])


def for_others(resumption: Resumption | None, ends: Sequence[int]) -> dict[str, Any]:
    """Where a run continues, in JSON types, for the processes that read the arrays themselves.

    Args:
        resumption: The checkpoint; None if the run starts again.
        ends: As in :class:`dlrun.training.request.RunRequest`.
    """
    told = {"ends": list(ends)}
    if resumption is None:
        return told
    return {
        **told,
        **{name: getattr(resumption, name) for name in HOW},
        "at": list(resumption.at),
        "path": str(resumption.path.absolute()),
        "state": resumption.saved.state,
    }


def of_rank_0(message: Mapping[str, Any]) -> Resumption | None:
    """Where a run continues, from :func:`for_others`.

    Raises:
        DlrunError: If the checkpoint can't be read.
    """
    if "path" not in message:
        return None
    path = Path(message["path"])
    saved = replace(read_checkpoint(path), state=message["state"])
    how = {name: message[name] for name in HOW}
    return Resumption(Position(*message["at"]), path, saved, **how)
