"""A subclassed model inside a Functional one.

Source: Chollet, Kalinowski and Allaire, Deep Learning with R, listing 7.15.
"""

from typing import Any

import keras


class Classifier(keras.Model):
    """The last layer of a classifier.

    Args:
        num_classes: Number of logits, ``(batch_size, num_classes)`` float32; two classes have one
            logit, ``(batch_size, 1)``.
    """

    def __init__(self, num_classes: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_classes = num_classes
        units = 1 if num_classes == 2 else num_classes
        self.dense = keras.layers.Dense(units, dtype="float32", name="logits")

    def call(self, inputs: Any) -> Any:
        """From features, ``(batch_size, features)``, to logits."""
        return self.dense(inputs)

    def get_config(self) -> dict[str, Any]:
        """The model's config for Keras."""
        return {**super().get_config(), "num_classes": self.num_classes}


def mixed_functional(
    input_shape: tuple[int, ...], num_classes: int, *, units: int = 64
) -> keras.Model:
    """A Functional model whose last layer is a subclassed model.

    Args:
        input_shape: One sample's shape; it is flattened.
        num_classes: As for :class:`Classifier`; two classes need ``task=binary_classification``.
        units: Width of the hidden layer.
    """
    inputs = keras.Input(input_shape)
    x = keras.layers.Flatten()(inputs)
    features = keras.layers.Dense(units, activation="relu", name="features")(x)
    outputs = Classifier(num_classes, name="classifier")(features)
    return keras.Model(inputs, outputs, name="mixed_functional")
