"""What replaces parts of Keras' optimizers on torch."""

from collections.abc import Sequence
from typing import Any

import keras
import torch

from dlrun.optimizers.fused_adam import FusedAdam, FusedAdamW


class Nadam(keras.optimizers.Nadam):
    """Keras' Nadam, updated a variable at a time as on the other backends.

    Keras' class for torch, which a subclass does not get, computes ``1 - beta_2`` in float64 but
    the bias correction in float32. The first step is then off by 6e-6 of its size, enough for a
    ReLU of an MLP on MNIST to switch: losses differ by 1.6e-4 within 50 steps instead of 4e-7.
    """


class WeightDecay(keras.optimizers.Optimizer):
    """Mixed in after an optimizer's own class: weight decay with the rounding of other backends.

    Keras multiplies by ``1 - weight_decay * learning_rate`` on torch, a number so close to 1 that
    float32 rounds the decay by up to 1 percent, or to nothing; and it needs one weight that decays.
    """

    def _apply_weight_decay(self, variables: Sequence[Any]) -> None:
        if self.weight_decay is None:
            return
        values = [v.value for v in variables if self._use_weight_decay(v)]
        if values:
            with torch.no_grad():
                rate = keras.ops.convert_to_tensor(self.learning_rate)
                decays = torch._foreach_mul(torch._foreach_mul(values, self.weight_decay), rate)
                torch._foreach_sub_(values, decays)


# Of a user's subclass, the update is what its author chose.
REPLACED: dict[Any, type] = {
    keras.optimizers.Adam: FusedAdam,
    keras.optimizers.AdamW: FusedAdamW,
    keras.optimizers.Nadam: Nadam,
}


def replace_optimizer(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    """An optimizer of Keras' own with the update of :data:`REPLACED`; others are as they were.

    Args:
        optimizer: Not built yet; it is changed in place.
    """
    kind = type(optimizer)
    # On torch an optimizer of Keras is of a class of this name that Keras does not export.
    is_keras = kind.__module__.startswith("keras.")
    replaced = REPLACED.get(getattr(keras.optimizers, kind.__name__, None)) if is_keras else None
    # The fused kernel is not for amsgrad.
    if replaced is not None and not getattr(optimizer, "amsgrad", False):
        optimizer.__class__ = replaced
    return optimizer
