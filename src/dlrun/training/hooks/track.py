"""Hand a run's values to its trackers."""

from collections.abc import Mapping
from typing import Any

import keras

from dlrun.data.length import Length
from dlrun.loops.hooks import is_ready, numbers
from dlrun.runs.directory import RunDir
from dlrun.trackers.client import Tracking


class Track(keras.callbacks.Callback):
    """Hands over each epoch's values, and those of some batches.

    Args:
        tracking: Takes them without waiting.
        every: After which numbers of steps trackers want the values of a batch.
        directory: Its record gets the trackers' ids of the run.
        length: The run's.
        is_fit: Whether the loop is Keras' own, whose steps then need not wait for the hooks.
    """

    takes_tensors = True

    def __init__(
        self,
        tracking: Tracking,
        every: tuple[int, ...],
        directory: RunDir,
        length: Length,
        *,
        is_fit: bool,
    ) -> None:
        super().__init__()
        self._tracking = tracking
        self._every = every
        self._directory = directory
        self._length = length
        self._before_epoch = 0
        self._step = 0
        self._waiting: list[tuple[int, Mapping[str, Any], tuple[int, ...]]] = []
        self._is_fit = is_fit
        self._steps_per_call = 1
        # Then hooks are called from threads, in any order, and must not ask for the model.
        self.async_safe = is_fit or not every
        self.batch_interval = min(every, default=1)
        """``loop=raw`` may take so many steps in one call, and then ends it."""

    def on_train_begin(self, logs: Any = None) -> None:
        """Ask how many steps ``fit`` takes in one call."""
        self._steps_per_call = int(getattr(self.model, "steps_per_execution", None) or 1)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Count the steps of the epochs before."""
        self._before_epoch = self._length.steps_until(epoch)
        self._step = max(self._step, self._before_epoch)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Hand over a batch's values: Keras' means over the epoch so far."""
        step = self._before_epoch + batch + 1
        if self._is_fit:
            # One of the steps of this call, of which the last one of an epoch may have fewer.
            every = tuple(n for n in self._every if step % n <= batch % self._steps_per_call)
        else:
            every = tuple(n for n in self._every if step // n > self._step // n)
            self._step = step
        if logs and every:
            self._waiting.append((step, logs, every))
        while self._waiting and all(map(is_ready, self._waiting[0][1].values())):
            self._hand_over()
        if self._tracking.has_new_ids:
            self.record_ids()

    def _hand_over(self) -> None:
        step, logs, every = self._waiting.pop(0)
        values = {f"batch/{name}": value for name, value in numbers(logs).items()}
        self._tracking.log(step, values, every)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Hand over the epoch's values."""
        while self._waiting:
            self._hand_over()
        rate = keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)
        values = {"learning_rate": rate, **(logs or {})}
        self._tracking.log(epoch + 1, {name: float(value) for name, value in values.items()})

    def record_ids(self) -> None:
        """Record the ids, so that a resumed run goes on in the same runs of the trackers."""
        self._directory.update(trackers=self._tracking.take_ids())
