"""AdamW without a schedule (Defazio et al., 2024, "The Road Less Scheduled")."""

from typing import Any

import keras


class ScheduleFreeUpdate(keras.optimizers.Optimizer):
    """Mixed into Keras' ScheduleFreeAdamW: the same update on every backend.

    Three sequences are kept in two: ``z`` takes Adam's steps and is the ``momentum`` of Keras,
    ``x`` is their average, and the weights are ``y = (1 - beta_1) z + beta_1 x``. Keras reads the
    old ``z`` from a variable that tensorflow and torch have changed by then. Here all new values
    are computed before the first is assigned.
    """

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update one weight.

        Args:
            gradient: Of the loss at ``y``, in the shape of the weight.
            variable: The weight, ``y``.
            learning_rate: The size of Adam's step, which the warm-up shortens.
        """
        ops, dtype = keras.ops, variable.dtype
        rate, gradient = ops.cast(learning_rate, dtype), ops.cast(gradient, dtype)
        step = ops.cast(self.iterations + 1, dtype)
        beta_1, beta_2 = (ops.cast(beta, dtype) for beta in (self.beta_1, self.beta_2))
        if self.warmup_steps > 0:
            rate = rate * ops.minimum(step / ops.cast(self.warmup_steps, dtype), 1.0)

        index = self._get_variable_index(variable)
        z, velocity = self._momentums[index], self._velocities[index]
        change = ops.multiply(ops.subtract(ops.square(gradient), velocity), 1 - beta_2)
        new_velocity = ops.add(velocity, change)
        unbiased = ops.sqrt(new_velocity / (1 - ops.power(beta_2, step)))
        moved = ops.divide(ops.multiply(rate, gradient), unbiased + ops.cast(self.epsilon, dtype))
        new_z = ops.subtract(z, moved)

        x = ops.divide(ops.subtract(variable, ops.multiply(1 - beta_1, z)), beta_1)
        new_x = ops.add(x, ops.divide(ops.subtract(new_z, x), step))
        new_y = ops.add(ops.multiply(1 - beta_1, new_z), ops.multiply(beta_1, new_x))
        self.assign(velocity, new_velocity)
        self.assign(z, new_z)
        self.assign(variable, new_y)
