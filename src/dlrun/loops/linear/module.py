"""The linear classifier in PyTorch: a module and an optimizer.

Source: Chollet, Kalinowski and Allaire, Deep Learning with R, chapter 3, "Packaging state and
computation with Module".
"""

import math
from typing import Any

import keras
import torch

from dlrun.loops.linear import weights as exchange


class LinearModel(torch.nn.Module):
    """An affine map.

    Args:
        features: Width of the input, ``(batch_size, features)``.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.kernel = torch.nn.Parameter(torch.rand(features, 1))
        self.bias = torch.nn.Parameter(torch.zeros(1))

    def forward(self, inputs: Any) -> Any:
        """The outputs, ``(batch_size, 1)``."""
        return torch.matmul(inputs, self.kernel) + self.bias


class Module:
    """See :class:`dlrun.backends.Stepper`."""

    check = staticmethod(exchange.check)

    def __init__(self, model: keras.Model, step: Any, *, compile: str, scale: float) -> None:
        self._model = model
        self._module = LinearModel(model.weights[0].shape[0])
        self._forward = torch.compile(self._module) if compile == "graph" else self._module
        self._optimizer = torch.optim.SGD(self._module.parameters(), lr=1.0)
        self._measure = torch.nn.MSELoss()

    def load(self) -> None:
        """Read the weights from the model."""
        kernel, bias, learning_rate = exchange.read_weights(self._model)
        self._module.load_state_dict(
            {"kernel": torch.from_numpy(kernel), "bias": torch.from_numpy(bias)}
        )
        self._optimizer.param_groups[0]["lr"] = learning_rate

    def store(self) -> None:
        """Write the weights to the model."""
        exchange.write_weights(
            self._model, self._module.kernel.detach(), self._module.bias.detach()
        )

    def train(self, inputs: Any, targets: Any, *weights: Any) -> dict[str, Any]:
        """Take optimizer steps."""
        losses = []
        for batch in exchange.batches(inputs, targets, *weights):
            loss = self._loss(*map(torch.from_numpy, batch))
            loss.backward()
            self._optimizer.step()
            self._optimizer.zero_grad()
            losses.append(loss.detach())
        return exchange.log_losses(self._model, losses, targets)

    def test(self, inputs: Any, targets: Any, *weights: Any) -> dict[str, Any]:
        """Evaluate the batches."""
        with torch.no_grad():
            batches = exchange.batches(inputs, targets, *weights)
            losses = [self._loss(*map(torch.from_numpy, batch)) for batch in batches]
        return exchange.log_losses(self._model, losses, targets)

    def _loss(self, inputs: Any, targets: Any, *weights: Any) -> Any:
        predictions = self._forward(inputs)
        if not weights:
            return self._measure(predictions, targets)
        return torch.mean(math.prod(weights, start=torch.square(targets - predictions)))
