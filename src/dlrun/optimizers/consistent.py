"""Make a Keras optimizer do the same on every backend, and count updates instead of batches."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import keras

from dlrun.losses.loss_scale import inner_optimizer
from dlrun.optimizers.schedule_free import ScheduleFreeUpdate

# Updates of Keras' own classes that differ by backend. Of a subclass, the update is its author's.
MENDED: dict[type, type] = {keras.optimizers.ScheduleFreeAdamW: ScheduleFreeUpdate}


def make_consistent(
    optimizer: keras.optimizers.Optimizer,
    *,
    before: Sequence[type] = (),
    after: Sequence[type] = (),
) -> keras.optimizers.Optimizer:
    """Give an optimizer, or the one that it wraps, the methods of :class:`Consistent`.

    Args:
        optimizer: Not built yet; it is changed in place.
        before: What else a backend mixes in, before the optimizer's own class.
        after: The same, after it: for methods that its class for the backend overrides.

    Returns:
        The same optimizer.
    """
    inner = inner_optimizer(optimizer)
    kind = type(inner)
    # A mixin, as Keras' own class for a backend is known only once the optimizer is made. Its
    # module says whose optimizer it is.
    mended = [MENDED[kind]] if kind in MENDED else []
    bases = (Consistent, *before, *mended, kind, *after)
    inner.__class__ = type(kind.__name__, bases, {"__module__": kind.__module__})
    return optimizer


class Consistent(keras.optimizers.Optimizer):
    """Mixed into any optimizer of Keras; each method mends one difference.

    - A weight that the loss does not depend on has a gradient of 0 on every backend. Keras' own
      training steps give it 0 on jax and no gradient on the others, where it would not decay.
    - The names that ``exclude_from_weight_decay`` takes are looked for in a weight's path, which is
      the same on every backend; Keras looks in a name that has the layer's name on tensorflow only.
    - With ``gradient_accumulation_steps``, a schedule counts updates and the moving average is
      taken after each update; Keras counts batches.
    """

    def apply(self, grads: Iterable[Any], trainable_variables: Any = None) -> Any:
        """Update the variables."""
        variables = self._trainable_variables
        if trainable_variables is not None:
            variables = trainable_variables = list(trainable_variables)
        grads = list(grads)
        if any(gradient is not None for gradient in grads):
            grads = [
                keras.ops.zeros(variable.shape, variable.dtype) if gradient is None else gradient
                for gradient, variable in zip(grads, variables, strict=True)
            ]
        return super().apply(grads, trainable_variables)

    def has_schedule(self) -> bool:
        """Whether the learning rate follows a schedule."""
        return isinstance(self._learning_rate, keras.optimizers.schedules.LearningRateSchedule)

    def last_learning_rate(self) -> float:
        """The schedule's learning rate in the last update; before the first, that of the first."""
        updates = int(keras.ops.convert_to_numpy(self.iterations))
        return float(keras.ops.convert_to_numpy(self._learning_rate(max(updates - 1, 0))))

    def _get_current_learning_rate(self) -> Any:
        if self.has_schedule():
            return self._learning_rate(self.iterations)
        return super()._get_current_learning_rate()

    def _use_weight_decay(self, variable: Any) -> bool:
        # On tensorflow it is tensorflow's own variable, which has no path.
        known = self._trainable_variables[self._get_variable_index(variable)]
        pattern = getattr(self, "_exclude_from_weight_decay_pattern", None)
        if pattern is not None and re.search(pattern, known.path):
            return False
        return self._var_key(variable) not in getattr(self, "_exclude_from_weight_decay", ())

    def _backend_apply_gradients(self, grads: Sequence[Any], trainable_variables: Any) -> None:
        if not (self.use_ema and self.gradient_accumulation_steps):
            super()._backend_apply_gradients(grads, trainable_variables)
            return
        self.use_ema: bool = False  # Keras would average after each batch
        try:
            super()._backend_apply_gradients(grads, trainable_variables)
        finally:
            self.use_ema = True
        self._average_after_update()

    def _average_after_update(self) -> None:
        """Update the moving averages if this batch was the last of an update.

        Until the first update, the average is the variable. Values are selected, not branches,
        because jax can't assign in a branch.
        """
        ops, updates = keras.ops, self.iterations
        is_update = ops.equal((self._iterations + 1) % self.gradient_accumulation_steps, 0)
        is_new = ops.logical_or(is_update, ops.equal(updates, 0))
        every = self.ema_overwrite_frequency
        overwrites = every and ops.logical_and(is_update, ops.equal((updates + 1) % every, 0))
        for variable, average in zip(
            self._trainable_variables, self._model_variables_moving_average, strict=True
        ):
            if average is None:
                continue
            value, mean = (ops.convert_to_tensor(v) for v in (variable, average))
            momentum = ops.cast(ops.not_equal(updates, 0), average.dtype) * self.ema_momentum
            mean = ops.where(is_new, momentum * mean + (1 - momentum) * value, mean)
            average.assign(mean)
            if every:
                variable.assign(ops.where(overwrites, mean, value))
