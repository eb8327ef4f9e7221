"""Keras' Adam on torch, its whole update in one kernel."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import torch
from torch.optim.adam import adam


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
        step = int(self.iterations.value) + 1
        bias1, bias2 = (1 - beta**step for beta in (self.beta_1, self.beta_2))
        # Keras corrects the bias in float32, where 1 - 0.999 is too small by 1e-5 of it, torch in
        # float64: unless that is made up for, losses differ by 1e-4 after fifty steps.
        keras1, keras2 = (
            1 - float(np.float32(beta) ** np.float32(step)) for beta in (self.beta_1, self.beta_2)
        )
        as_keras = bias1 / keras1 * math.sqrt(keras2 / bias2)
        slots = [self._get_variable_index(v) for v in trainable_variables]
        with torch.no_grad():
            values = [v.value for v in trainable_variables]
            # The kernel takes elements as they lie in memory. Transposed are an orthogonal
            # initializer's weights, and a convolution's gradients unless backward() wrote them.
            weights = [value.contiguous() for value in values]
            adam(
                weights,
                [gradient.contiguous() for gradient in grads],
                [self._momentums[slot].value for slot in slots],
                [self._velocities[slot].value for slot in slots],
                [],
                # Torch counts the step itself, and each variable has a count of its own.
                [torch.full((), step - 1.0, device=w.device) for w in weights],
                fused=True,
                amsgrad=False,
                beta1=self.beta_1,
                beta2=self.beta_2,
                lr=float(learning_rate) * as_keras,
                weight_decay=0.0,  # Keras decays before the update
                # Keras adds epsilon before the bias is corrected, torch after it.
                eps=self.epsilon / math.sqrt(bias2),
                maximize=False,
            )
            for value, weight in zip(values, weights, strict=True):
                if weight is not value:
                    value.copy_(weight)
