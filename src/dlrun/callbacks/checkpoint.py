"""Save checkpoints in dlrun's own format."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from dlrun.callbacks.protocol import RunCallback, run_callback
from dlrun.checkpoints import architecture
from dlrun.checkpoints.format import Variable, write_checkpoint
from dlrun.checkpoints.store import Position, list_positions, prune_checkpoints
from dlrun.errors import DlrunError
from dlrun.runs.metric_direction import is_better

if TYPE_CHECKING:
    from dlrun.backends import Backend

log = logging.getLogger("dlrun")


class Checkpoint(RunCallback):
    """Saves at the end of each epoch; keeps the last two epochs and the best.

    The runner calls it after all other callbacks, so that it saves their decisions too.

    Args:
        directory: Directory of the checkpoints.
        monitor: The logged value that decides the best epoch; one that is not finite never does.
        mode: ``min`` or ``max``.
        keep: How many of the last epochs to keep.
        every_steps: Also save within an epoch, after every this many steps; the last two of these
            checkpoints are kept until the epoch ends. The loop then calls each step separately.
    """

    def __init__(
        self,
        directory: str,
        monitor: str = "val_loss",
        mode: str = "min",
        *,
        keep: int = 2,
        every_steps: int | None = None,
    ) -> None:
        super().__init__()
        self.directory = Path(directory)
        self.monitor = monitor
        self.mode = mode
        self.keep = keep
        self.every_steps = every_steps
        self.async_safe = every_steps is None  # then the batch hooks do nothing
        self.history: list[dict[str, float]] = []
        self.best: dict[str, float] | None = None
        self._written_by: Mapping[str, Any] = {}
        self._others: Mapping[str, keras.callbacks.Callback] = {}
        self._backend: Backend | None = None
        self._architecture: list[dict[str, Any]] = []
        self._epoch = self._first = 0

    def set_run(
        self,
        *,
        written_by: Mapping[str, Any],
        callbacks: Mapping[str, keras.callbacks.Callback],
        backend: Backend,
        **_: Any,
    ) -> None:
        """Take the versions for the manifest, and the callbacks whose state to save."""
        self._written_by, self._backend = written_by, backend
        self._others = {name: c for name, c in callbacks.items() if c is not self}
        for name, callback in self._others.items():
            if isinstance(callback, keras.callbacks.SwapEMAWeights) and not callback.swap_on_epoch:
                raise DlrunError(
                    f"callbacks.{name}: validation would use the averaged weights, but checkpoints"
                    " would hold the others",
                    hint=f"callbacks.{name}.swap_on_epoch=true",
                )

    def continue_from(self, history: list[dict[str, float]], best: dict[str, float] | None) -> None:
        """Take the history of a resumed run, and its best epoch so far."""
        self.history, self.best = list(history), best

    def on_train_begin(self, logs: Any = None) -> None:
        """Describe the model, which does not change from here on, and create the directory."""
        self._architecture = architecture.describe(self.model, self.model.optimizer)
        self.directory.mkdir(parents=True, exist_ok=True)
        optimizer = getattr(self.model.optimizer, "inner_optimizer", self.model.optimizer)
        averaged = getattr(optimizer, "use_ema", False) and not optimizer.ema_overwrite_frequency
        swapped = keras.callbacks.SwapEMAWeights
        if averaged and not any(isinstance(c, swapped) for c in self._others.values()):
            log.warning(
                "optimizer.use_ema: nothing uses the averaged weights; to validate and save them,"
                " add +callbacks=swap_ema_weights"
            )

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Record the epoch."""
        self._epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Record the first step of a call."""
        self._first = batch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Save within the epoch if due; the end of the epoch has a checkpoint of its own."""
        done, every = batch + 1, self.every_steps
        if every is None or done // every == self._first // every or done >= self.params["steps"]:
            return
        getattr(self.model, "jax_state_sync", lambda: None)()  # jax trains on copies
        within = {"metrics": _values(self.model.metrics_variables), "random": self._random()}
        self._save(Position(self._epoch, done), within)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Save the epoch; ``epoch`` counts from 0 as in Keras, on disk it counts from 1."""
        row = {name: float(value) for name, value in (logs or {}).items()}
        number = epoch + 1
        self.history.append({"epoch": number, **row})
        value = row.get(self.monitor)
        if value is not None and is_better(value, self._best_value, self.mode):
            self.best = {"epoch": number, "value": value}
        self._save(Position(number), {})

    def _save(self, at: Position, within: Mapping[str, list[Variable]]) -> None:
        write_checkpoint(
            self.directory,
            at,
            {
                "model": _values(self.model.variables),
                "optimizer": _values(self.model.optimizer.variables),
                **within,
            },
            {
                "best": self.best,
                "history": self.history,
                "architecture": self._architecture,
                "stopped": bool(getattr(self.model, "stop_training", False)),
                "callbacks": {name: state for name, state in self._states().items() if state},
            },
            written_by=self._written_by,
        )
        self._prune(at)

    def _prune(self, at: Position) -> None:
        saved = list_positions(self.directory)
        keep = [position for position in saved if not position.steps][-self.keep :]
        if at.steps:
            keep += [position for position in saved if position.steps][-2:]
        if self.best:
            keep.append(Position(int(self.best["epoch"])))
        for name, state in self._states().items():
            epoch = run_callback(self._others[name]).get_epoch_to_restore(state)
            keep += [] if epoch is None else [Position(epoch)]
        prune_checkpoints(self.directory, keep)

    def _states(self) -> dict[str, dict[str, Any]]:
        return {name: run_callback(c).get_state() for name, c in self._others.items()}

    def get_best_epoch(self) -> int | None:
        """The best epoch so far, counted from 1; None before the first finite value."""
        return int(self.best["epoch"]) if self.best else None

    @property
    def _best_value(self) -> float | None:
        return self.best["value"] if self.best else None

    def _random(self) -> list[Variable]:
        states = self._backend.random_state() if self._backend else []
        return [Variable("generator", state) for state in states]


def _values(variables: Iterable[Any]) -> list[Variable]:
    return [Variable(v.path, np.asarray(keras.ops.convert_to_numpy(v.value))) for v in variables]
