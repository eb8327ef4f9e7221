"""A Functional model inside a subclassed one.

Source: Chollet, Kalinowski and Allaire, Deep Learning with R, listing 7.16.
"""

from typing import Any

import keras


class MixedSubclassed(keras.Model):
    """A hidden layer, then a Functional model that tells one of two classes.

    Args:
        input_shape: One sample's shape; it is flattened.
        num_classes: 2, for which there is one logit, ``(batch_size, 1)`` float32.
        units: Width of the hidden layer.

    Raises:
        ValueError: If there are more classes.
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
        """From samples, ``(batch_size, *input_shape)``, to one logit each."""
        return self.classifier(self.hidden(self.flatten(inputs)))

    def get_config(self) -> dict[str, Any]:
        """What Keras saves the model by."""
        return {**super().get_config(), **self.arguments}
