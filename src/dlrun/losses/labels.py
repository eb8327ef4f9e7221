"""Integer labels and logits, in the form in which most losses and metrics compare them."""

from typing import Any

import keras


def compared(labels: Any, outputs: Any, activation: str | None) -> tuple[Any, Any]:
    """Labels in the shape of the outputs, and the outputs as predictions.

    Args:
        labels: Class numbers from 0, ``(batch_size,)`` or ``(batch_size, 1)``; what has the shape
            of the outputs already, one-hot labels or targets of a regression, stays as it is.
        outputs: What the model returns, ``(batch_size, num_classes)``, or ``(batch_size, 1)`` for
            one number or one yes or no.
        activation: A Keras activation, as ``softmax``, that makes predictions of the outputs; None
            for none.

    Returns:
        Labels and predictions, both in the shape and dtype of the outputs.
    """
    predictions = keras.activations.get(activation)(outputs)
    classes = outputs.shape[-1]
    if len(labels.shape) == len(outputs.shape) and labels.shape[-1] == 1 < classes:
        labels = keras.ops.squeeze(labels, axis=-1)
    if len(labels.shape) == len(outputs.shape):
        return keras.ops.cast(labels, outputs.dtype), predictions
    if classes == 1:
        return keras.ops.cast(labels[..., None], outputs.dtype), predictions
    numbers = keras.ops.cast(labels, "int32")
    return keras.ops.one_hot(numbers, classes, dtype=outputs.dtype), predictions


def class_of(module: Any, name: str) -> Any:
    """A class of ``keras.losses`` or ``keras.metrics``, which have functions that read too.

    Raises:
        ValueError: If there is none of that name.
    """
    found = getattr(module, name, None)
    if not isinstance(found, type):
        raise ValueError(f"{module.__name__} has no class {name!a}")
    return found
