"""Keras' Adam on torch, its whole update in one kernel."""

from collections.abc import Sequence
from typing import Any

import keras
import torch


class FusedAdam(keras.optimizers.Adam):
    """Adam as Keras defines it, computed by torch's fused kernel.

    Keras makes about ten passes over the variables for one update, torch's kernel makes one. The
    variables are those of ``keras.optimizers.Adam``, so either can go on from the other's
    checkpoint; the updates differ by rounding, 1e-7 of a weight after one step.
    """

    def _backend_update_step(
        self, grads: Sequence[Any], trainable_variables: Sequence[Any], learning_rate: Any
    ) -> None:
        # Where Keras' own torch optimizers update all variables together.
        slots = [self._get_variable_index(v) for v in trainable_variables]
        with torch.no_grad():
            values = [v.value for v in trainable_variables]
            # The kernel takes elements as they lie in memory. Transposed are an orthogonal
            # initializer's weights, and a convolution's gradients unless backward() wrote them.
            weights = [value.contiguous() for value in values]
            # Torch adds epsilon after the bias is corrected, Keras before it: so Keras corrects it
            # in the learning rate, and torch, in a step where beta**step is 0, not at all.
            late = torch.full((), 1e9, device=values[0].device)
            torch._fused_adam_(
                weights,
                [gradient.contiguous() for gradient in grads],
                [self._momentums[slot].value for slot in slots],
                [self._velocities[slot].value for slot in slots],
                [],
                [late] * len(slots),
                amsgrad=False,
                lr=self._corrected(learning_rate, values[0].dtype),
                beta1=self.beta_1,
                beta2=self.beta_2,
                weight_decay=0.0,  # Keras decays before the update
                eps=self.epsilon,
                maximize=False,
            )
            for value, weight in zip(values, weights, strict=True):
                if weight is not value:
                    value.copy_(weight)

    def _corrected(self, learning_rate: Any, dtype: torch.dtype) -> Any:
        """A step's rate, of shape ``()``, in which Keras corrects the bias."""
        dtype = torch.promote_types(dtype, torch.float32)
        # Where gradients are accumulated it is no variable.
        step = (keras.ops.convert_to_tensor(self.iterations) + 1).to(dtype)
        bias1, bias2 = (
            1 - torch.full((), beta, dtype=dtype, device=step.device) ** step
            for beta in (self.beta_1, self.beta_2)
        )
        return keras.ops.convert_to_tensor(learning_rate).to(dtype) * bias2.sqrt() / bias1
