"""End a run whose loss or weights are not finite."""

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
# Below, Adafactor's estimate of a gradient that is always 0 underflows in float32.
ADAFACTOR_EPSILON = 1e-16


class StopOnNonFinite(keras.callbacks.Callback):
    """Raises at the first step whose loss is NaN or infinite, and after an epoch for the weights.

    The weights are checked too, because a compiled activation may hide their NaN from the loss. It
    comes before the callbacks that save, so that such an epoch never becomes a checkpoint.

    Raises:
        DlrunError: With the epoch and the step.
    """

    async_safe = True  # a step's logs may be read during the next step

    def __init__(self) -> None:
        super().__init__()
        self._epoch = 0
        self._started: list[int] = []
        self._losses: dict[int, float] = {}
        self._seen_bad = False
        self._infinite: set[str] = set()

    def on_train_begin(self, logs: Any = None) -> None:
        """Remember variables that are infinite from the start, such as masks."""
        self._infinite = {path for path, _, _ in _not_finite(self.model.variables)}

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Forget the steps of the previous epoch."""
        self._epoch, self._started, self._losses = epoch + 1, [], {}

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """End the run if an earlier step was bad."""
        # Not after a batch: on jax another thread may run that hook.
        self._raise_if_bad()
        self._started.append(batch)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Check the loss. The running mean of an epoch never becomes finite again."""
        self._losses[batch] = loss = float((logs or {}).get("loss", 0.0))
        self._seen_bad = self._seen_bad or not math.isfinite(loss)

    def on_test_begin(self, logs: Any = None) -> None:
        """End the run before validation if the last step was bad."""
        self._raise_if_bad()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Check the epoch's loss and the weights."""
        self._raise_if_bad()
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):  # a loop may call no hook after a batch
            raise DlrunError(
                f"the loss is {loss} in epoch {self._epoch}",
                hint=_hint(self.model.optimizer),
                exit_code=1,
            )
        for path, index, value in _not_finite(self.model.variables):
            if path not in self._infinite:
                raise DlrunError(
                    f"the weights are not finite after epoch {self._epoch}, step {self._steps} of"
                    f" {self._steps}: {path}{list(index)} is {value}",
                    hint=_hint(self.model.optimizer),
                    exit_code=1,
                )

    @property
    def _steps(self) -> Any:
        return (self.params or {}).get("steps") or "?"

    def _raise_if_bad(self) -> None:
        if not self._seen_bad:
            return
        losses = sorted(self._losses.copy().items())  # jax may add to it meanwhile
        bad = next(n for n, (_, loss) in enumerate(losses) if not math.isfinite(loss))
        last, loss = losses[bad]
        started = [batch for batch in self._started if batch <= last]
        if bad + 1 < len(started):
            return  # an earlier step has not reported its loss yet
        first = started[-1]
        # With several steps in one call, only the last one is logged.
        step = f"step {last + 1}" if first == last else f"steps {first + 1} to {last + 1}"
        raise DlrunError(
            f"the loss is {loss} in epoch {self._epoch}, {step} of {self._steps}",
            hint=_hint(self.model.optimizer),
            exit_code=1,
        )


def _hint(optimizer: Any) -> str:
    """How to mend it; an optimizer may be the reason by its nature."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    if isinstance(optimizer, keras.optimizers.Adafactor):
        epsilon = optimizer.epsilon_1
        if epsilon < ADAFACTOR_EPSILON:
            return (
                f"Adafactor with epsilon_1={epsilon:g} divides 0 by 0 where gradients are always 0,"
                " as of inputs that are always 0: set"
                f" optimizer.epsilon_1={ADAFACTOR_EPSILON:g} or choose another optimizer"
            )
    return HINT


def _not_finite(variables: Iterable[Any]) -> Iterable[tuple[str, tuple[int, ...], Any]]:
    """Each variable with a non-finite value: its path, the first such index, and the value."""
    for variable in variables:
        value = np.asarray(keras.ops.convert_to_numpy(variable.value))
        if (index := first_not_finite(value)) is not None:
            yield variable.path, index, value[index]
