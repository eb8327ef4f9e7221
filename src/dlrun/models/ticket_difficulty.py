"""The ticket model's features, used again for a third output.

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
    """The ticket classifier with ``difficulty`` beside its two outputs.

    Its layers keep their names, so that ``init_from`` finds the weights of a trained classifier.

    Args:
        input_shape: As the classifier's.
        num_classes: How many ``department`` and how many ``difficulty`` there are.
        units: As the classifier's.
        freeze: Train the new output only, and leave the classifier as it is.

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
