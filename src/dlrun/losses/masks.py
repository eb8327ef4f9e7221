"""The masks of a model's outputs, which say which steps of a sequence count.

Keras keeps a mask as an attribute of its tensor. Where a step hands outputs on as new tensors, as
``jax.grad`` and a replayed trace do, the attribute is lost, so the masks have to go with them.
"""

from collections.abc import Mapping
from typing import Any

import keras
from keras.src.backend import get_keras_mask, set_keras_mask  # Keras exports no other way


def masks_of(outputs: Any) -> dict[int, Any]:
    """The masks by the number of their output; outputs without a mask are left out."""
    masks = {number: get_keras_mask(leaf) for number, leaf in enumerate(_leaves(outputs))}
    return {number: mask for number, mask in masks.items() if mask is not None}


def set_masks(outputs: Any, masks: Mapping[int, Any]) -> None:
    """Attach masks from :func:`masks_of` to outputs of the same structure."""
    if masks:
        for number, leaf in enumerate(_leaves(outputs)):
            if (mask := masks.get(number)) is not None:
                set_keras_mask(leaf, mask)


def position_weights(outputs: Any, sample_weight: Any = None) -> Any:
    """How much each sample, or each step of a sequence, counts: 0 where it is masked.

    Args:
        outputs: One output, ``(batch_size, ..., values)``.
        sample_weight: Weights by sample or by step; None for 1. Of weights by label, ``(batch_size,
            values)``, the mean counts.

    Returns:
        The shape of the outputs without their last axis, ``(batch_size, ...)``, float32.
    """
    first = outputs[..., 0] if len(outputs.shape) > 1 else outputs
    weights = keras.ops.ones_like(first, dtype="float32")
    for given in (sample_weight, get_keras_mask(outputs)):
        if given is not None:
            factor = keras.ops.cast(given, "float32")
            if len(factor.shape) > len(weights.shape):
                factor = keras.ops.mean(factor, axis=-1)
            # A weight for each sample counts for all of its steps.
            axes = tuple(range(len(factor.shape), len(weights.shape)))
            weights *= keras.ops.expand_dims(factor, axes) if axes else factor
    return weights


def _leaves(outputs: Any) -> list[Any]:
    if isinstance(outputs, Mapping):
        return list(outputs.values())
    return list(outputs) if isinstance(outputs, list | tuple) else [outputs]
