"""The linear classifier in PyTorch: tensors that require gradients.

Source: Chollet, Kalinowski and Allaire, Deep Learning with R, chapter 3, "A linear classifier in
pure PyTorch".
"""

import math
from typing import Any

import keras
import torch

from dlrun.loops.linear import weights as exchange


class Tensors:
    """See :class:`dlrun.backends.Stepper`."""

    check = staticmethod(exchange.check)

    def __init__(self, model: keras.Model, step: Any, *, compile: str, scale: float) -> None:
        self._model = model
        self._loss = torch.compile(_loss) if compile == "graph" else _loss
        self.load()

    def load(self) -> None:
        """Read the weights from the model."""
        kernel, bias, self._learning_rate = exchange.read_weights(self._model)
        self._kernel = torch.tensor(kernel, requires_grad=True)
        self._bias = torch.tensor(bias, requires_grad=True)

    def store(self) -> None:
        """Write the weights to the model."""
        exchange.write_weights(self._model, self._kernel.detach(), self._bias.detach())

    def train(self, inputs: Any, targets: Any, *weights: Any) -> dict[str, Any]:
        """Take gradient descent steps."""
        losses = []
        for batch in exchange.batches(inputs, targets, *weights):
            loss = self._loss(self._kernel, self._bias, *map(torch.from_numpy, batch))
            loss.backward()
            with torch.no_grad():
                for weight in (self._kernel, self._bias):
                    weight.sub_(self._learning_rate * weight.grad)
                    weight.grad = None
            losses.append(loss.detach())
        return exchange.log_losses(self._model, losses, targets)

    def test(self, inputs: Any, targets: Any, *weights: Any) -> dict[str, Any]:
        """Evaluate the batches."""
        with torch.no_grad():
            losses = [
                _loss(self._kernel, self._bias, *map(torch.from_numpy, batch))
                for batch in exchange.batches(inputs, targets, *weights)
            ]
        return exchange.log_losses(self._model, losses, targets)


def _loss(kernel: Any, bias: Any, inputs: Any, targets: Any, *weights: Any) -> Any:
    predictions = torch.matmul(inputs, kernel) + bias
    return torch.mean(math.prod(weights, start=torch.square(targets - predictions)))
