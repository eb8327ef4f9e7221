"""The ticket model as a subclass, which creates its variables in the first call.

Source: Chollet, Kalinowski and Allaire, Deep Learning with R, listing 7.14.
"""

from collections.abc import Mapping
from typing import Any

import keras


class TicketClassifier(keras.Model):
    """Classifies support tickets: three inputs, two outputs, as ``model=ticket_classifier``.

    Args:
        input_shape: Not used: the layers get their inputs' widths when they are called.
        num_classes: The number of classes of ``department``.
        units: Width of the features that both outputs share.
    """

    def __init__(
        self,
        input_shape: Mapping[str, tuple[int, ...]],
        num_classes: Mapping[str, int],
        *,
        units: int = 64,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"name": "ticket_classifier_subclassed", **kwargs})
        self.arguments = {
            "input_shape": dict(input_shape),
            "num_classes": dict(num_classes),
            "units": units,
        }
        self.all_inputs = keras.layers.Concatenate(name="all_inputs")
        self.features = keras.layers.Dense(units, activation="relu", name="features")
        self.priority = keras.layers.Dense(1, "sigmoid", dtype="float32", name="priority")
        self.department = keras.layers.Dense(
            num_classes["department"], dtype="float32", name="department"
        )

    def call(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Map ``title``, ``text_body`` and ``tags`` to ``priority`` and ``department``."""
        words_and_tags = [inputs["title"], inputs["text_body"], inputs["tags"]]
        features = self.features(self.all_inputs(words_and_tags))
        return {"priority": self.priority(features), "department": self.department(features)}

    def get_config(self) -> dict[str, Any]:
        """The model's config for Keras."""
        return {**super().get_config(), **self.arguments}
