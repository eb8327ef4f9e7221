"""End a run whose loss or weights are not finite."""

import math
import time
from collections.abc import Iterable, Mapping
from typing import Any

import keras
import numpy as np

from dlrun.errors import DlrunError
from dlrun.loops.hooks import is_ready, number
from dlrun.losses.loss_scale import inner_optimizer
from dlrun.system.finite import first_not_finite

HINT = (
    "lower optimizer.learning_rate, set optimizer.clipnorm, or check the data;"
    " the checkpoints of earlier epochs are kept"
)
# Below, Adafactor's estimate of a gradient that is always 0 underflows in float32.
ADAFACTOR_EPSILON = 1e-16
BLOCK_SECONDS, BLOCK_STEPS = 0.2, 256  # so much is trained before losses are read


class StopOnNonFinite(keras.callbacks.Callback):
    """Raises for the first step whose loss is NaN or infinite, and after an epoch for the weights.

    The weights are checked too, because a compiled activation may hide their NaN from the loss. It
    comes before the callbacks that save, so that such an epoch never becomes a checkpoint.

    Reading a loss waits for the device, so the losses of a block of steps are read at once: about
    0.2 s of steps, at most 256. The run ends so much later; the message names the step.

    Args:
        is_mean: Whether the logged loss is the running mean of the epoch, which never becomes
            finite again: the last one of a block then tells of all.
        is_alone: False if other processes train with this one: then each loss is read, so that all
            of them end at the same step.

    Raises:
        DlrunError: With the epoch and the step.
    """

    async_safe = True  # a step's logs may be read during the next step
    takes_tensors = True

    def __init__(self, *, is_mean: bool = False, is_alone: bool = True) -> None:
        super().__init__()
        self._is_mean = is_mean
        self._is_alone = is_alone
        self._epoch = 0
        self._started: list[int] = []
        self._losses: dict[int, Any] = {}  # not yet known to be finite
        self._block, self._unread = 1, 0  # steps
        self._read_at = 0.0
        self._infinite: set[str] = set()

    def on_train_begin(self, logs: Any = None) -> None:
        """Remember variables that are infinite from the start, such as masks."""
        self._infinite = {path for path, _, _ in _not_finite(self.model.variables)}

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Forget the steps of the previous epoch."""
        self._epoch, self._started, self._losses = epoch + 1, [], {}
        self._unread, self._read_at = 0, time.perf_counter()

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """End the run if an earlier step was bad."""
        # Not after a batch: on jax another thread may run that hook.
        if self._unread >= self._block:
            self._read_block()
        self._unread += 1
        self._started.append(batch)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Keep the loss, which is read later."""
        self._losses[batch] = (logs or {}).get("loss", 0.0)

    def check(self, step: int) -> None:
        """Check the losses up to a step, and the weights, before they are saved within an epoch.

        Hooks of callbacks that save there are not called from threads, nor is this one then.

        Raises:
            DlrunError: If one is not finite.
        """
        self._raise_if_bad()
        getattr(self.model, "jax_state_sync", lambda: None)()  # jax trains on copies
        self._check_weights(step)

    def on_test_begin(self, logs: Any = None) -> None:
        """End the run before validation if one of the last steps was bad."""
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
        self._check_weights(self._steps)

    @property
    def _steps(self) -> Any:
        return (self.params or {}).get("steps") or "?"

    def _read_block(self) -> None:
        """Read the losses of the last steps that are computed, and fit the next block."""
        self._raise_if_bad(wait=not self._is_alone)
        now = time.perf_counter()
        seconds, self._read_at, self._unread = now - self._read_at, now, 0
        if not self._is_alone:
            return
        if seconds < BLOCK_SECONDS / 2:
            self._block = min(2 * self._block, BLOCK_STEPS)
        elif seconds > BLOCK_SECONDS:
            self._block = max(1, self._block // 2)

    def _raise_if_bad(self, *, wait: bool = True) -> None:
        losses = sorted(self._losses.copy().items())  # threads may add to it meanwhile
        while losses and not (wait or is_ready(losses[-1][1])):
            losses.pop()  # on jax steps are ahead of what is computed
        if not losses:
            return
        last = losses[-1][0]
        read = losses[-1:] if self._is_mean else losses
        if all(math.isfinite(number(loss)) for _, loss in read):
            later = [batch for batch in self._started if batch > last]
            if len(losses) == len(self._started) - len(later):  # else a thread is still to report
                self._started = later
                for batch, _ in losses:
                    del self._losses[batch]
            return
        values = [(batch, number(loss)) for batch, loss in losses]
        bad = next(n for n, (_, loss) in enumerate(values) if not math.isfinite(loss))
        last, loss = values[bad]
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

    def _check_weights(self, step: Any) -> None:
        for path, index, value in _not_finite(self.model.variables):
            if path not in self._infinite:
                raise DlrunError(
                    f"the weights are not finite after epoch {self._epoch}, step {step} of"
                    f" {self._steps}: {path}{list(index)} is {value}",
                    hint=_hint(self.model.optimizer),
                    exit_code=1,
                )


def _hint(optimizer: Any) -> str:
    """How to mend it; an optimizer may be the reason by its nature."""
    optimizer = inner_optimizer(optimizer)
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
