"""The books' own dense layer, which finds the width of its input when it is built, in a stack.

Source: Chollet and Watson, Deep Learning with Python, listing 3.33, and the stack that follows it.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras


class SimpleDense(keras.layers.Layer):
    """An affine map and an activation, in ``keras.ops``.

    Args:
        units: Width of the output, ``(batch_size, units)``.
        activation: Applied to the output, by its name or as a function; None applies none.
    """

    def __init__(
        self, units: int, activation: str | Callable[[Any], Any] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.activation = keras.activations.get(activation)

    def build(self, input_shape: tuple[int, ...]) -> None:
        """Create the kernel, ``(input_shape[-1], units)``, and the bias, ``(units,)``."""
        self.kernel = self.add_weight(
            shape=(input_shape[-1], self.units), initializer="random_normal", name="kernel"
        )
        self.bias = self.add_weight(shape=(self.units,), initializer="zeros", name="bias")

    def call(self, inputs: Any) -> Any:
        """The activation of the affine map of the inputs."""
        return self.activation(keras.ops.matmul(inputs, self.kernel) + self.bias)

    def get_config(self) -> dict[str, Any]:
        """What Keras saves the layer by."""
        activation = keras.activations.serialize(self.activation)
        return {**super().get_config(), "units": self.units, "activation": activation}


def simple_dense(
    input_shape: tuple[int, ...], num_classes: int, *, units: Sequence[int] = (32, 64, 32)
) -> keras.Model:
    """A Sequential model of the layer, none of which is told the width of its input.

    Args:
        input_shape: One sample's shape; it is flattened.
        num_classes: Logits in the output, ``(batch_size, num_classes)`` float32.
        units: Width of each hidden layer.
    """
    return keras.Sequential(
        [
            keras.Input(input_shape),
            keras.layers.Flatten(),
            *(SimpleDense(width, "relu") for width in units),
            # Logits in float32, even if the other layers compute in half precision.
            SimpleDense(num_classes, dtype="float32", name="logits"),
        ],
        name="simple_dense",
    )
