"""The linear classifier in TensorFlow: variables and a tape.

Source: Chollet, Kalinowski and Allaire, Deep Learning with R, chapter 3, "A linear classifier in
pure TensorFlow".
"""

import math
from typing import Any

import keras
import tensorflow as tf

from dlrun.loops.linear import weights as exchange


class Tape:
    """See :class:`dlrun.backends.Stepper`."""

    check = staticmethod(exchange.check)

    def __init__(self, model: keras.Model, step: Any, *, compile: str, scale: float) -> None:
        self._model = model
        kernel, bias, self._learning_rate = exchange.read_weights(model)
        self._kernel, self._bias = tf.Variable(kernel), tf.Variable(bias)
        self._run = self._step
        if compile != "eager":
            self._run = tf.function(self._step, jit_compile=compile == "xla", autograph=False)

    def load(self) -> None:
        """Read the weights from the model."""
        kernel, bias, self._learning_rate = exchange.read_weights(self._model)
        self._kernel.assign(kernel)
        self._bias.assign(bias)

    def store(self) -> None:
        """Write the weights to the model."""
        exchange.write_weights(self._model, self._kernel, self._bias)

    def train(self, inputs: Any, targets: Any, *weights: Any) -> dict[str, Any]:
        """Take gradient descent steps."""
        rate, batches = self._learning_rate, exchange.batches(inputs, targets, *weights)
        return exchange.log_losses(self._model, [self._run(rate, *b) for b in batches], targets)

    def test(self, inputs: Any, targets: Any, *weights: Any) -> dict[str, Any]:
        """Evaluate the batches."""
        losses = [self._loss(*batch) for batch in exchange.batches(inputs, targets, *weights)]
        return exchange.log_losses(self._model, losses, targets)

    def _loss(self, inputs: Any, targets: Any, *weights: Any) -> Any:
        predictions = tf.matmul(inputs, self._kernel) + self._bias
        return tf.reduce_mean(math.prod(weights, start=tf.square(targets - predictions)))

    def _step(self, learning_rate: float, *batch: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = self._loss(*batch)
        slopes = tape.gradient(loss, [self._kernel, self._bias])
        self._kernel.assign_sub(learning_rate * slopes[0])
        self._bias.assign_sub(learning_rate * slopes[1])
        return loss
