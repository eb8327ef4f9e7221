"""Convert integer labels and logits to the form that most losses and metrics compare."""

from typing import Any

import keras


def match_outputs(labels: Any, outputs: Any, activation: str | None) -> tuple[Any, Any]:
    """Labels in the shape of the outputs, and the outputs as predictions.

    Args:
        labels: Class numbers from 0, ``(batch_size,)`` or ``(batch_size, 1)``; labels that already
            have the shape of the outputs, one-hot or numeric, keep it.
        outputs: The model's outputs, ``(batch_size, num_classes)``, or ``(batch_size, 1)`` for a
            number or a binary class.
        activation: A Keras activation, such as ``softmax``, that turns outputs into predictions;
            None for none.

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


def get_class(module: Any, name: str) -> Any:
    """A class of ``keras.losses`` or ``keras.metrics``, which also contain functions.

    Raises:
        ValueError: If the module has no class of this name.
    """
    cls = getattr(module, name, None)
    if not isinstance(cls, type):
        raise ValueError(f"{module.__name__} has no class {name!a}")
    return cls
