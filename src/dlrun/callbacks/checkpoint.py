"""Save checkpoints in dlrun's own format."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

from dlrun.callbacks.checkpoint_interval import CheckpointInterval
from dlrun.callbacks.protocol import RunCallback, run_callback
from dlrun.checkpoints import architecture
from dlrun.checkpoints.format import Variable
from dlrun.checkpoints.history import HISTORY, HistoryFile, Line
from dlrun.checkpoints.snapshot import Snapshot, copy_epoch_state, copy_weights
from dlrun.checkpoints.store import Position, list_positions, prune_checkpoints
from dlrun.data.length import Length
from dlrun.errors import DlrunError
from dlrun.loops.epoch import RANDOM_STATE
from dlrun.losses.loss_scale import inner_optimizer
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
        every: In place of both that follow, such as 500, a number of steps; ``2e``, epochs as the
            config's ``epochs`` counts them; or ``10min``, also within an epoch, for which the loop
            calls each step separately.
        every_seconds: Save an epoch only if the last save began so many seconds ago, or if training
            ends; 0 saves each. None saves the first 20 epochs, and then at most one a second. The
            best epoch is kept in memory until the next save, so that none is ever lost for another.

    Raises:
        ValueError: If ``every`` is not an interval. The config is checked before for all of them.
    """

    takes_tensors = True

    def __init__(
        self,
        directory: str,
        monitor: str = "val_loss",
        mode: str = "min",
        *,
        keep: int = 2,
        every: int | str | None = None,
        every_steps: int | None = None,
        every_seconds: float | None = None,
    ) -> None:
        super().__init__()
        self.directory = Path(directory)
        self.monitor = monitor
        self.mode = mode
        self.keep = keep
        self._interval = CheckpointInterval(every, every_steps, every_seconds)
        self.async_safe = not self._interval.divides_epochs
        self.check: Callable[[int], None] | None = None
        """Raises if what was trained up to a step of the epoch must not be saved."""
        self._history = HistoryFile(self.directory / HISTORY)
        self._waiting: dict[int, Snapshot] = {}
        self._saved_epoch = 0
        self.best: dict[str, float] | None = None
        self._written_by: Mapping[str, Any] = {}
        self._others: Mapping[str, keras.callbacks.Callback] = {}
        self._backend: Backend | None = None
        self._architecture: list[dict[str, Any]] = []
        self._epoch = self._first = 0
        self._length: Length | None = None
        self._cut: Snapshot | None = None
        self._cut_needs: set[int] = set()

    def set_run(
        self,
        *,
        written_by: Mapping[str, Any],
        callbacks: Mapping[str, keras.callbacks.Callback],
        backend: Backend,
        data: Any = None,
        **_: Any,
    ) -> None:
        """Take the versions for the manifest, and the callbacks whose state to save."""
        self._written_by, self._backend = written_by, backend
        self._length = data.length if data is not None else None
        self._interval.set_length(self._length)
        self.async_safe = not self._interval.divides_epochs
        self._others = {name: c for name, c in callbacks.items() if c is not self}
        for name, callback in self._others.items():
            if isinstance(callback, keras.callbacks.SwapEMAWeights) and not callback.swap_on_epoch:
                raise DlrunError(
                    f"callbacks.{name}: validation would use the averaged weights, but checkpoints"
                    " would hold the others",
                    hint=f"callbacks.{name}.swap_on_epoch=true",
                )

    def continue_from(self, lines: Iterable[Line], best: dict[str, float] | None) -> None:
        """Take the history of a resumed run, and its best epoch so far."""
        self._history, self.best = HistoryFile(self.directory / HISTORY, lines), best
        self._saved_epoch = self._history.mark()["rows"]

    def on_train_begin(self, logs: Any = None) -> None:
        """Describe the model, which does not change from here on, and create the directory."""
        self._interval.begin()
        self._architecture = architecture.describe(self.model, self.model.optimizer)
        self.directory.mkdir(parents=True, exist_ok=True)
        optimizer = inner_optimizer(self.model.optimizer)
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
        done = batch + 1
        if self._interval.is_due_within(self._first, done) and done < self.params["steps"]:
            if self.check is not None:
                self.check(done)
            within = copy_epoch_state(self.model, self._random())
            self._save(Position(self._epoch, done), within)

    def on_test_begin(self, logs: Any = None) -> None:
        """Keep the last step before validation, in an epoch that the end of the run cuts short."""
        self._keep_cut()

    def _keep_cut(self) -> None:
        """Keep where a longer run continues: within the epoch, as if it were not cut short."""
        length = self._length
        if self._cut is not None or length is None or not length.is_cut(self._epoch):
            return
        if any(isinstance(c, keras.callbacks.SwapEMAWeights) for c in self._others.values()):
            return  # has put averages into the model; a longer run repeats the steps of the epoch
        if length.samples_of(self._epoch) % length.batch_size:
            return  # a longer run would take the last step with more samples: it repeats the epoch
        states = self._states()
        self._cut_needs = self._epochs_to_keep(states)
        at = Position(self._epoch, length.steps_of(self._epoch))
        after_last = self.model.__dict__.pop(RANDOM_STATE, None)
        random = self._random() if after_last is None else after_last
        self._cut = self._snapshot(at, copy_epoch_state(self.model, random), states)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Save the epoch; ``epoch`` counts from 0 as in Keras, on disk it counts from 1."""
        row = {name: float(value) for name, value in (logs or {}).items()}
        self._keep_cut()  # without validation it is not kept yet
        number = self._epoch = epoch + 1
        rows = {name: run_callback(c).get_row() for name, c in self._others.items()}
        kept = {name: kept for name, kept in rows.items() if kept}
        self._history.add({"history": {"epoch": number, **row}, "callbacks": kept})
        value = row.get(self.monitor)
        if value is not None and is_better(value, self._best_value, self.mode):
            self.best = {"epoch": number, "value": value}
        states = self._states()
        if self._is_due(number):
            self._save(Position(number), {})
        else:
            wanted = self._epochs_to_keep(states)
            self._waiting = {n: waits for n, waits in self._waiting.items() if n in wanted}
            if number in wanted:
                self._waiting[number] = self._snapshot(Position(number), {}, states)

    def on_train_end(self, logs: Any = None) -> None:
        """Save the last epoch if a loop ended without a word."""
        if self._saved_epoch < self._epoch:
            self._save(Position(self._epoch), {})

    def _is_due(self, number: int) -> bool:
        """Whether to save the epoch, from 1, that just ended."""
        last = (self.params or {}).get("epochs")
        if last is None or number >= last or getattr(self.model, "stop_training", False):
            return True
        return self._interval.is_due_after(number)

    def _snapshot(
        self,
        at: Position,
        within: Mapping[str, list[Variable]],
        states: Mapping[str, Mapping[str, Any]],
    ) -> Snapshot:
        state = {
            "best": self.best,
            "architecture": self._architecture,
            "stopped": bool(getattr(self.model, "stop_training", False)),
            **({"length": self._length.until(*at).to_json()} if self._length else {}),
            "callbacks": {name: state for name, state in states.items() if state},
        }
        variables = {**copy_weights(self.model), **within}
        return Snapshot(at, variables, state, self._history.mark())

    def _save(self, at: Position, within: Mapping[str, list[Variable]]) -> None:
        self._interval.restart()
        states = self._states()
        wanted = self._epochs_to_keep(states)
        self._history.flush()
        # First those that a resumed run may need beside the newest.
        needed = wanted | (self._cut_needs if self._cut else set())
        waiting = [waits for number, waits in self._waiting.items() if number in needed]
        cut = [self._cut] if self._cut else []
        for one in (*waiting, self._snapshot(at, within, states), *cut):
            one.write(self.directory, self._written_by)
        self._waiting = {}
        self._saved_epoch = at.epochs
        self._prune(at, needed)

    def _prune(self, at: Position, wanted: Collection[int]) -> None:
        saved = list_positions(self.directory)
        keep = [position for position in saved if not position.steps][-self.keep :]
        if self._cut:
            keep.append(self._cut.at)
        if at.steps:
            keep += [position for position in saved if position.steps][-2:]
        prune_checkpoints(self.directory, [*keep, *map(Position, wanted)])

    def _epochs_to_keep(self, states: Mapping[str, Mapping[str, Any]]) -> set[int]:
        """The best epoch, and those whose weights callbacks restore."""
        epochs = {
            run_callback(self._others[name]).get_epoch_to_restore(state)
            for name, state in states.items()
        }
        return {epoch for epoch in (*epochs, self.get_best_epoch()) if epoch is not None}

    def _states(self) -> dict[str, dict[str, Any]]:
        return {name: run_callback(c).get_state() for name, c in self._others.items()}

    def get_best_epoch(self) -> int | None:
        """The best epoch so far, counted from 1; None before the first finite value."""
        return int(self.best["epoch"]) if self.best else None

    @property
    def _best_value(self) -> float | None:
        return self.best["value"] if self.best else None

    def _random(self) -> list[Any]:
        """The states of the framework's own generator."""
        return self._backend.random_state() if self._backend else []
