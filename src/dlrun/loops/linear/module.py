"""The linear classifier in PyTorch: a module and an optimizer.

Source: Chollet, Kalinowski and Allaire, Deep Learning with R, chapter 3, "Packaging state and
computation with Module".
"""

from typing import Any

import keras
import torch

from dlrun.loops.linear import weights


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

    def __init__(self, model: keras.Model, step: Any, *, compile: str, scale: float) -> None:
        weights.check(model, "torch")
        self._model = model
        self._module = LinearModel(model.weights[0].shape[0])
        self._forward = torch.compile(self._module) if compile == "graph" else self._module
        self._optimizer = torch.optim.SGD(self._module.parameters(), lr=1.0)
        self._measure = torch.nn.MSELoss()

    def load(self) -> None:
        """Read the weights from the model."""
        kernel, bias, learning_rate = weights.read_weights(self._model)
        self._module.load_state_dict(
            {"kernel": torch.from_numpy(kernel), "bias": torch.from_numpy(bias)}
        )
        self._optimizer.param_groups[0]["lr"] = learning_rate

    def store(self) -> None:
        """Write the weights to the model."""
        weights.write_weights(self._model, self._module.kernel.detach(), self._module.bias.detach())

    def train(self, inputs: Any, targets: Any) -> dict[str, Any]:
        """Take optimizer steps."""
        losses = []
        for points, labels in weights.batches(inputs, targets):
            loss = self._measure(self._forward(torch.from_numpy(points)), torch.from_numpy(labels))
            loss.backward()
            self._optimizer.step()
            self._optimizer.zero_grad()
            losses.append(loss.detach())
        return weights.log_losses(self._model, losses, targets)

    def test(self, inputs: Any, targets: Any) -> dict[str, Any]:
        """Evaluate the batches."""
        with torch.no_grad():
            losses = [
                self._measure(self._forward(torch.from_numpy(points)), torch.from_numpy(labels))
                for points, labels in weights.batches(inputs, targets)
            ]
        return weights.log_losses(self._model, losses, targets)
