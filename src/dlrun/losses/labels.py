"""Convert integer labels and logits to the form that most losses and metrics compare."""

from typing import Any

import keras

from dlrun.losses.masks import position_weights


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


def flat_samples(
    labels: Any, outputs: Any, sample_weight: Any, activation: str | None
) -> tuple[Any, Any, Any]:
    """Labels, predictions and weights with every step of a sequence as a sample of its own.

    Args:
        labels: As for :func:`match_outputs`.
        outputs: As for :func:`match_outputs`; their masks give a step the weight 0.
        sample_weight: Weights by sample or by step; None for 1.
        activation: As for :func:`match_outputs`.

    Returns:
        Labels and predictions ``(samples, num_classes)``, weights ``(samples,)``, float32.
    """
    weights = position_weights(outputs, sample_weight)
    labels, predictions = match_outputs(labels, outputs, activation)
    labels, predictions = (
        keras.ops.cast(keras.ops.reshape(values, (-1, outputs.shape[-1])), "float32")
        for values in (labels, predictions)
    )
    return labels, predictions, keras.ops.reshape(weights, (-1,))


def get_class(module: Any, name: str) -> Any:
    """A class of ``keras.losses`` or ``keras.metrics``, which also contain functions.

    Raises:
        ValueError: If the module has no class of this name.
    """
    cls = getattr(module, name, None)
    if not isinstance(cls, type):
        raise ValueError(f"{module.__name__} has no class {name!a}")
    return cls
