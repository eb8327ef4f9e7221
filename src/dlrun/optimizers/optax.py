"""Use an optax transformation as a Keras optimizer."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import keras
import optax


class Optax(keras.optimizers.Optimizer):
    """Applies gradients with an ``optax.GradientTransformation``.

    Its state is stored in Keras variables, so that checkpoints include it. If it takes a
    ``learning_rate``, it uses Keras', so that callbacks and schedules can set it.

    Args:
        factory: Makes the transformation from keyword arguments.
        learning_rate: The initial learning rate; None if the transformation takes none.
        **around: What Keras does around an update, such as ``clipnorm``.
    """

    def __init__(
        self, factory: Callable[..., Any], learning_rate: float | None = None, **around: Any
    ) -> None:
        super().__init__(learning_rate=1.0 if learning_rate is None else learning_rate, **around)
        self._factory = factory
        self.takes_learning_rate = learning_rate is not None
        # So that a wrong argument is refused before training.
        self._transformation(self.learning_rate)

    def build(self, variables: Sequence[Any]) -> None:
        """Create a variable for each array of the state."""
        super().build(variables)
        state = self._transformation(self._rate()).init([v.value for v in variables])
        leaves, self._structure = jax.tree.flatten(state)
        self._slots = []
        for number, leaf in enumerate(leaves):
            slot = self.add_variable(leaf.shape, dtype=str(leaf.dtype), name=f"state_{number}")
            slot.assign(leaf)
            self._slots.append(slot)

    def _backend_update_step(
        self, grads: Sequence[Any], trainable_variables: Sequence[Any], learning_rate: Any
    ) -> None:
        # Keras' method for all variables together: constraints and the count of steps are Keras'.
        values = [v.value for v in trainable_variables]
        state = jax.tree.unflatten(self._structure, [slot.value for slot in self._slots])
        transformation = self._transformation(self._rate())
        updates, state = transformation.update(list(grads), state, values)
        values = optax.apply_updates(values, updates)
        for variable, value in zip(trainable_variables, values, strict=True):
            variable.assign(value)
        for slot, leaf in zip(self._slots, jax.tree.leaves(state), strict=True):
            slot.assign(leaf)

    def get_config(self) -> dict[str, Any]:
        """Not supported: a factory can't be serialized."""
        raise NotImplementedError

    def _rate(self) -> Any:
        return keras.ops.convert_to_tensor(self.learning_rate)

    def _transformation(self, learning_rate: Any) -> Any:
        if not self.takes_learning_rate:
            return self._factory()
        return self._factory(learning_rate=learning_rate)
