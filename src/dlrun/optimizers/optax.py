"""An optax transformation where Keras expects an optimizer of its own."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import keras
import optax


class Optax(keras.optimizers.Optimizer):
    """Applies gradients by an ``optax.GradientTransformation``.

    Its state is kept in Keras variables, so that checkpoints hold it; where it takes a
    ``learning_rate``, that is Keras', so that callbacks and schedules set it.

    Args:
        factory: From keyword arguments to the transformation.
        learning_rate: As the factory has it bound; None where it takes none.
    """

    def __init__(self, factory: Callable[..., Any], learning_rate: float | None = None) -> None:
        super().__init__(learning_rate=1.0 if learning_rate is None else learning_rate)
        self._factory = factory
        self._follows = learning_rate is not None

    def build(self, variables: Sequence[Any]) -> None:
        """Make a variable for each array of the state."""
        super().build(variables)
        state = self._transformation(self.learning_rate.value).init([v.value for v in variables])
        leaves, self._structure = jax.tree.flatten(state)
        self._slots = []
        for number, leaf in enumerate(leaves):
            slot = self.add_variable(leaf.shape, dtype=str(leaf.dtype), name=f"state_{number}")
            slot.assign(leaf)
            self._slots.append(slot)

    def apply(self, grads: Sequence[Any], trainable_variables: Any = None) -> None:
        """Make one step."""
        variables = self._trainable_variables
        values = [v.value for v in variables]
        state = jax.tree.unflatten(self._structure, [slot.value for slot in self._slots])
        transformation = self._transformation(self.learning_rate.value)
        updates, state = transformation.update(list(grads), state, values)
        for variable, value in zip(variables, optax.apply_updates(values, updates), strict=True):
            variable.assign(value)
        for slot, leaf in zip(self._slots, jax.tree.leaves(state), strict=True):
            slot.assign(leaf)
        self._iterations.assign_add(1)

    def get_config(self) -> dict[str, Any]:
        """What Keras saves the optimizer by."""
        raise NotImplementedError

    def _transformation(self, learning_rate: Any) -> Any:
        return self._factory(learning_rate=learning_rate) if self._follows else self._factory()
