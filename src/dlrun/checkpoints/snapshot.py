"""What a checkpoint is written from: a copy, which may wait while training goes on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from dlrun.checkpoints.format import Variable, write_checkpoint
from dlrun.checkpoints.store import Position


@dataclass(frozen=True)
class Snapshot:
    """The content of a checkpoint.

    Args:
        at: The position in training.
        variables: As for :func:`dlrun.checkpoints.format.write_checkpoint`, like the next two.
        state: See there.
        history: See there.
    """

    at: Position
    variables: Mapping[str, list[Variable]]
    state: Mapping[str, Any]
    history: Mapping[str, Any]

    def write(self, directory: Path, written_by: Mapping[str, Any]) -> None:
        """Write the checkpoint into the directory of checkpoints.

        Raises:
            OSError: If it can't be written, with its path.
        """
        write_checkpoint(
            directory,
            self.at,
            self.variables,
            self.state,
            written_by=written_by,
            history=self.history,
        )


def copy_weights(model: keras.Model) -> dict[str, list[Variable]]:
    """The variables of a compiled model and of its optimizer."""
    return {"model": _copy(model.variables), "optimizer": _copy(model.optimizer.variables)}


def copy_epoch_state(model: keras.Model, random: Iterable[Any]) -> dict[str, list[Variable]]:
    """What an epoch resets: the running metrics, and the states of the framework's generator."""
    getattr(model, "jax_state_sync", lambda: None)()  # jax trains on copies
    return {
        "metrics": _copy(model.metrics_variables),
        "random": [Variable("generator", state) for state in random],
    }


def _copy(variables: Iterable[Any]) -> list[Variable]:
    # A backend may lend its memory.
    return [Variable(v.path, np.array(keras.ops.convert_to_numpy(v.value))) for v in variables]
