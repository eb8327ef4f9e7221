"""A Functional model inside a subclassed one.

Source: Chollet, Kalinowski and Allaire, Deep Learning with R, listing 7.16.
"""

from typing import Any

import keras


class MixedSubclassed(keras.Model):
    """A hidden layer, then a Functional model for binary classification.

    Args:
        input_shape: One sample's shape; it is flattened.
        num_classes: 2. The output is one logit, ``(batch_size, 1)`` float32.
        units: Width of the hidden layer.

    Raises:
        ValueError: If there are not two classes.
    """

    def __init__(
        self, input_shape: tuple[int, ...], num_classes: int, *, units: int = 64, **kwargs: Any
    ) -> None:
        if num_classes != 2:
            raise ValueError(f"expected two classes, got {num_classes}")
        super().__init__(**{"name": "mixed_subclassed", **kwargs})
        self.arguments = {
            "input_shape": list(input_shape),
            "num_classes": num_classes,
            "units": units,
        }
        self.flatten = keras.layers.Flatten()
        self.hidden = keras.layers.Dense(units, activation="relu", name="hidden")
        features = keras.Input((units,))
        logit = keras.layers.Dense(1, dtype="float32", name="logit")(features)
        self.classifier = keras.Model(features, logit, name="binary_classifier")

    def call(self, inputs: Any) -> Any:
        """Map samples, ``(batch_size, *input_shape)``, to logits, ``(batch_size, 1)``."""
        return self.classifier(self.hidden(self.flatten(inputs)))

    def get_config(self) -> dict[str, Any]:
        """The model's config for Keras."""
        return {**super().get_config(), **self.arguments}
