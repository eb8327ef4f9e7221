"""The books' model with several inputs and outputs.

Source: Chollet, Kalinowski and Allaire, Deep Learning with R, listing 7.9.
"""

from collections.abc import Mapping

import keras


def ticket_classifier(
    input_shape: Mapping[str, tuple[int, ...]], num_classes: Mapping[str, int], *, units: int = 64
) -> keras.Model:
    """A Functional model for support tickets: three inputs, two outputs.

    Args:
        input_shape: ``(words,)`` for ``title`` and for ``text_body``, ``(tags,)`` for ``tags``.
        num_classes: The number of classes of ``department``.
        units: Width of the features that both outputs share.

    Returns:
        ``priority``, ``(batch_size, 1)`` float32 from 0 to 1, and the logits of ``department``,
        ``(batch_size, num_classes)`` float32.
    """
    title = keras.Input(input_shape["title"], name="title")
    text_body = keras.Input(input_shape["text_body"], name="text_body")
    tags = keras.Input(input_shape["tags"], name="tags")

    x = keras.layers.Concatenate(name="all_inputs")([title, text_body, tags])
    features = keras.layers.Dense(units, activation="relu", name="features")(x)
    # A probability, not a logit: its loss is the squared error.
    priority = keras.layers.Dense(1, "sigmoid", dtype="float32", name="priority")(features)
    department = keras.layers.Dense(num_classes["department"], dtype="float32", name="department")(
        features
    )
    return keras.Model(
        {"title": title, "text_body": text_body, "tags": tags},
        {"priority": priority, "department": department},
        name="ticket_classifier",
    )
