"""An optimizer of ``torch.optim`` where Keras expects one of its own."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import torch


class TorchOptim(keras.optimizers.Optimizer):
    """Applies gradients by a ``torch.optim.Optimizer``.

    Its state (momenta, counts) is kept in Keras variables, so that checkpoints hold it; its
    learning rate is Keras', so that callbacks and schedules set it.

    Args:
        factory: From an iterable of parameters to the optimizer.
    """

    def __init__(self, factory: Callable[[Any], torch.optim.Optimizer]) -> None:
        probe = factory([torch.nn.Parameter(torch.zeros(1))])
        super().__init__(learning_rate=float(probe.defaults["lr"]), name=type(probe).__name__)
        self._factory = factory

    def build(self, variables: Sequence[Any]) -> None:
        """Make the optimizer, and a slot for each tensor of its state."""
        super().build(variables)
        self._optimizer = self._factory([v.value for v in variables])
        self._slots: list[dict[str, Any]] = []
        for variable in variables:
            # Torch makes its state in the first step: try one elsewhere to see what there will be.
            stand_in = torch.nn.Parameter(torch.zeros_like(variable.value))
            stand_in.grad = torch.zeros_like(stand_in)
            tried = self._factory([stand_in])
            tried.step()
            tensors = {k: v for k, v in tried.state[stand_in].items() if torch.is_tensor(v)}
            self._slots.append(
                {
                    name: self.add_variable(tuple(value.shape), dtype=_dtype(value), name=name)
                    for name, value in tensors.items()
                }
            )
        self._joined = False

    def apply(self, grads: Sequence[Any], trainable_variables: Any = None) -> None:
        """Make one step."""
        if not self._joined and int(self.iterations.value):  # a checkpoint was loaded
            self._join(loaded=True)
        for group in self._optimizer.param_groups:
            group["lr"] = float(self.learning_rate)
        for variable, gradient in zip(self._trainable_variables, grads, strict=True):
            variable.value.grad = gradient
        self._optimizer.step()
        if not self._joined:
            self._join(loaded=False)
        self._iterations.assign_add(1)

    def _join(self, *, loaded: bool) -> None:
        """Let the slots and torch's state be the same tensors: each sees the other's changes."""
        for variable, slots in zip(self._trainable_variables, self._slots, strict=True):
            state = self._optimizer.state[variable.value]
            for name, slot in slots.items():
                if not loaded:
                    slot.assign(state[name])
                state[name] = slot.value.detach()
        self._joined = True

    def get_config(self) -> dict[str, Any]:
        """What Keras saves the optimizer by."""
        raise NotImplementedError


def _dtype(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
