"""The linear classifier in JAX: functions without state, and value_and_grad.

Source: Chollet, Kalinowski and Allaire, Deep Learning with R, chapter 3, "A linear classifier in
pure JAX".
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import keras

from dlrun.loops.linear import weights as exchange


class ValueAndGrad:
    """See :class:`dlrun.backends.Stepper`."""

    check = staticmethod(exchange.check)

    def __init__(self, model: keras.Model, step: Any, *, compile: str, scale: float) -> None:
        self._model = model
        self._step = _step if compile == "eager" else jax.jit(_step)
        self.load()

    def load(self) -> None:
        """Read the weights from the model."""
        kernel, bias, self._learning_rate = exchange.read_weights(self._model)
        self._state = jnp.asarray(kernel), jnp.asarray(bias)

    def store(self) -> None:
        """Write the weights to the model."""
        exchange.write_weights(self._model, *self._state)

    def train(self, inputs: Any, targets: Any, *weights: Any) -> dict[str, Any]:
        """Take gradient descent steps."""
        losses = []
        for batch in exchange.batches(inputs, targets, *weights):
            loss, self._state = self._step(self._state, self._learning_rate, *batch)
            losses.append(loss)
        return exchange.log_losses(self._model, losses, targets)

    def test(self, inputs: Any, targets: Any, *weights: Any) -> dict[str, Any]:
        """Evaluate the batches."""
        losses = [
            _loss(self._state, *batch) for batch in exchange.batches(inputs, targets, *weights)
        ]
        return exchange.log_losses(self._model, losses, targets)


def _loss(state: tuple[Any, Any], inputs: Any, targets: Any, *weights: Any) -> Any:
    kernel, bias = state
    predictions = jnp.matmul(inputs, kernel) + bias
    return jnp.mean(math.prod(weights, start=jnp.square(targets - predictions)))


def _step(state: tuple[Any, Any], learning_rate: float, *batch: Any) -> tuple[Any, tuple[Any, Any]]:
    loss, slopes = jax.value_and_grad(_loss)(state, *batch)
    kernel, bias = (w - learning_rate * slope for w, slope in zip(state, slopes, strict=True))
    return loss, (kernel, bias)
