"""Use an optimizer of ``torch.optim`` as a Keras optimizer."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import torch


class TorchOptim(keras.optimizers.Optimizer):
    """Applies gradients with a ``torch.optim.Optimizer``.

    Its state (momenta, counts) is stored in Keras variables, so that checkpoints include it. It
    uses Keras' learning rate, so that callbacks and schedules can set it.

    Args:
        factory: Makes the optimizer from an iterable of parameters.
        **around: What Keras does around an update, such as ``clipnorm``.
    """

    def __init__(self, factory: Callable[[Any], torch.optim.Optimizer], **around: Any) -> None:
        probe = factory([torch.nn.Parameter(torch.zeros(1))])
        rate = float(probe.defaults["lr"])
        super().__init__(learning_rate=rate, name=type(probe).__name__, **around)
        self._factory = factory

    def build(self, variables: Sequence[Any]) -> None:
        """Create the optimizer, and a slot for each tensor of its state."""
        super().build(variables)
        for variable in variables:
            # A fused kernel reads elements in memory order, but an orthogonal initializer's weights
            # are transposed.
            variable.value.data = variable.value.data.contiguous()
        self._optimizer = self._factory([v.value for v in variables])
        self._slots: list[dict[str, Any]] = []
        for variable in variables:
            # Torch creates its state in the first step: take one with a dummy parameter to see it.
            dummy = torch.nn.Parameter(torch.zeros_like(variable.value))
            dummy.grad = torch.zeros_like(dummy)
            probe = self._factory([dummy])
            probe.step()
            tensors = {k: v for k, v in probe.state[dummy].items() if torch.is_tensor(v)}
            self._slots.append(
                {
                    name: self.add_variable(tuple(value.shape), dtype=_dtype(value), name=name)
                    for name, value in tensors.items()
                }
            )
        self._shares_state = False

    def _backend_update_step(
        self, grads: Sequence[Any], trainable_variables: Sequence[Any], learning_rate: Any
    ) -> None:
        # Keras' method for all variables together: constraints and the count of steps are Keras'.
        if not self._shares_state and int(keras.ops.convert_to_numpy(self.iterations)):
            self._share_state(loaded=True)  # a checkpoint was loaded
        for group in self._optimizer.param_groups:
            group["lr"] = float(self.learning_rate)
        self._optimizer.zero_grad()  # of variables that have been frozen since
        for variable, gradient in zip(trainable_variables, grads, strict=True):
            variable.value.grad = gradient.contiguous()  # an LSTM's are transposed
        self._optimizer.step()
        if not self._shares_state:
            self._share_state(loaded=False)

    def _share_state(self, *, loaded: bool) -> None:
        """Make the slots and torch's state the same tensors, so that each sees changes."""
        for variable, slots in zip(self._trainable_variables, self._slots, strict=True):
            state = self._optimizer.state[variable.value]
            for name, slot in slots.items():
                if not loaded:
                    slot.assign(state[name])
                state[name] = slot.value.detach()
        self._shares_state = True

    def get_config(self) -> dict[str, Any]:
        """Not supported: a factory can't be serialized."""
        raise NotImplementedError


def _dtype(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
