"""The ticket model's features, reused for a third output.

Source: Chollet, Kalinowski and Allaire, Deep Learning with R, listing 7.13.
"""

from collections.abc import Mapping

import keras

from dlrun.models.ticket_classifier import ticket_classifier


def ticket_difficulty(
    input_shape: Mapping[str, tuple[int, ...]],
    num_classes: Mapping[str, int],
    *,
    units: int = 64,
    freeze: bool = False,
) -> keras.Model:
    """The ticket classifier with a third output, ``difficulty``.

    Its layers keep their names, so that ``init_from`` finds the weights of a trained classifier.

    Args:
        input_shape: As for the classifier.
        num_classes: The numbers of classes of ``department`` and ``difficulty``.
        units: As for the classifier.
        freeze: Train only the new output; do not change the classifier.

    Returns:
        The classifier's outputs, and the logits of ``difficulty``, ``(batch_size, num_classes)``.
    """
    classifier = ticket_classifier(input_shape, num_classes, units=units)
    classifier.trainable = not freeze
    difficulty = keras.layers.Dense(num_classes["difficulty"], dtype="float32", name="difficulty")(
        classifier.get_layer("features").output
    )
    outputs = {name: classifier.get_layer(name).output for name in ("priority", "department")}
    return keras.Model(
        classifier.input, outputs | {"difficulty": difficulty}, name="ticket_difficulty"
    )
