"""End a run whose loss or weights are no finite numbers."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import keras
import numpy as np

from dlrun.errors import DlrunError
from dlrun.system.finite import first_not_finite

HINT = (
    "lower optimizer.learning_rate, set optimizer.clipnorm, or check the data;"
    " the checkpoints of earlier epochs are kept"
)


class StopOnNonFinite(keras.callbacks.Callback):
    """Raises at the first step whose loss is NaN or infinite, and after an epoch for the weights.

    The weights too, because a compiled activation may hide their NaN from the loss. It stands
    before the callbacks that save, so that such an epoch is never a checkpoint.

    Raises:
        DlrunError: With the epoch and the step.
    """

    async_safe = True  # what a step has logged may be read beside the next one

    def __init__(self) -> None:
        super().__init__()
        self._epoch = 0
        self._begun: list[int] = []
        self._losses: dict[int, float] = {}
        self._found = False
        self._infinite: set[str] = set()

    def on_train_begin(self, logs: Any = None) -> None:
        """Note what is infinite before any step, as a mask may be."""
        self._infinite = {path for path, _, _ in _not_finite(self.model.variables)}

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Start with the first step."""
        self._epoch, self._begun, self._losses = epoch + 1, [], {}

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """End the run, if a step before this one was bad."""
        # Not after a batch, where jax may have another thread do this.
        self._raise_if_bad()
        self._begun.append(batch)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Look at the loss; the mean over an epoch never becomes finite again."""
        self._losses[batch] = loss = float((logs or {}).get("loss", 0.0))
        self._found = self._found or not math.isfinite(loss)

    def on_test_begin(self, logs: Any = None) -> None:
        """End the run before its validation, if the last step was bad."""
        self._raise_if_bad()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Look at the loss of the epoch, and at the weights."""
        self._raise_if_bad()
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):  # of a loop that calls no hook after a batch
            raise DlrunError(f"the loss is {loss} in epoch {self._epoch}", hint=HINT, exit_code=1)
        for path, index, value in _not_finite(self.model.variables):
            if path not in self._infinite:
                raise DlrunError(
                    f"the weights are not finite after epoch {self._epoch}, step {self._steps} of"
                    f" {self._steps}: {path}{list(index)} is {value}",
                    hint=HINT,
                    exit_code=1,
                )

    @property
    def _steps(self) -> Any:
        return (self.params or {}).get("steps") or "?"

    def _raise_if_bad(self) -> None:
        if not self._found:
            return
        looked_at = sorted(self._losses.copy().items())  # jax may add to it meanwhile
        bad = next(n for n, (_, loss) in enumerate(looked_at) if not math.isfinite(loss))
        last, loss = looked_at[bad]
        begun = [batch for batch in self._begun if batch <= last]
        if bad + 1 < len(begun):
            return  # a step before it has not been looked at yet
        first = begun[-1]
        # Several steps in one call log the last one's alone.
        step = f"step {last + 1}" if first == last else f"steps {first + 1} to {last + 1}"
        raise DlrunError(
            f"the loss is {loss} in epoch {self._epoch}, {step} of {self._steps}",
            hint=HINT,
            exit_code=1,
        )


def _not_finite(variables: Iterable[Any]) -> Iterable[tuple[str, tuple[int, ...], Any]]:
    """Each variable that holds a value that is not finite, with the first such value."""
    for variable in variables:
        value = np.asarray(keras.ops.convert_to_numpy(variable.value))
        if (index := first_not_finite(value)) is not None:
            yield variable.path, index, value[index]
