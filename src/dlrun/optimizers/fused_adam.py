"""Keras' Adam and AdamW on torch, with the whole update in one kernel."""

from collections.abc import Sequence
from typing import Any

import keras
import torch


class FusedAdam(keras.optimizers.Adam):
    """Keras' Adam, computed by torch's fused kernel.

    Keras makes about ten passes over the variables per update, torch's kernel only one. The
    variables are those of ``keras.optimizers.Adam``, so either can resume from the other's
    checkpoint; the updates differ by rounding, 1e-7 of a weight after one step.
    """

    # It has no rule for the kernel; a compiled step calls it as it is.
    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def _backend_update_step(
        self, grads: Sequence[Any], trainable_variables: Sequence[Any], learning_rate: Any
    ) -> None:
        # The method in which Keras' torch optimizers update all variables together.
        slots = [self._get_variable_index(v) for v in trainable_variables]
        with torch.no_grad():
            values = [v.value for v in trainable_variables]
            # The kernel reads elements in memory order, but an orthogonal initializer's weights
            # are transposed, and so are a convolution's gradients unless backward() wrote them.
            weights = [value.contiguous() for value in values]
            # Torch adds epsilon after the bias correction, Keras before. So the learning rate
            # contains Keras' correction, and a step count where beta**step is 0 disables torch's.
            large_step = torch.full((), 1e9, device=values[0].device)
            torch._fused_adam_(
                weights,
                [gradient.contiguous() for gradient in grads],
                [self._momentums[slot].value for slot in slots],
                [self._velocities[slot].value for slot in slots],
                [],
                [large_step] * len(slots),
                amsgrad=False,
                lr=self._corrected_learning_rate(learning_rate, values[0].dtype),
                beta1=self.beta_1,
                beta2=self.beta_2,
                weight_decay=0.0,  # Keras decays before the update
                eps=self.epsilon,
                maximize=False,
            )
            for value, weight in zip(values, weights, strict=True):
                if weight is not value:
                    value.copy_(weight)

    def _corrected_learning_rate(self, learning_rate: Any, dtype: torch.dtype) -> Any:
        """The step's learning rate, ``()``, including Keras' bias correction."""
        dtype = torch.promote_types(dtype, torch.float32)
        # With gradient accumulation, iterations is not a variable.
        step = (keras.ops.convert_to_tensor(self.iterations) + 1).to(dtype)
        bias1, bias2 = (
            1 - torch.full((), beta, dtype=dtype, device=step.device) ** step
            for beta in (self.beta_1, self.beta_2)
        )
        return keras.ops.convert_to_tensor(learning_rate).to(dtype) * bias2.sqrt() / bias1


class FusedAdamW(FusedAdam, keras.optimizers.AdamW):
    """As :class:`FusedAdam`, with weight decay, which Keras applies before the update."""
