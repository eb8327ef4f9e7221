"""The books' first network from scratch: it uses only Keras' variables and ops.

Source: Chollet, Kalinowski and Allaire, Deep Learning with R, chapter 2, "Reimplementing our first
example from scratch".
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras


class NaiveDense:
    """An affine map and an activation.

    Args:
        input_size: Width of the input, ``(batch_size, input_size)``.
        output_size: Width of the output, ``(batch_size, output_size)``.
        activation: Applied to the output; None applies none.
    """

    def __init__(
        self, input_size: int, output_size: int, activation: Callable[[Any], Any] | None = None
    ) -> None:
        self.kernel = keras.Variable("uniform", shape=(input_size, output_size), name="kernel")
        self.bias = keras.Variable("zeros", shape=(output_size,), name="bias")
        self.weights = [self.kernel, self.bias]
        self.activation = activation

    def __call__(self, inputs: Any) -> Any:
        """The outputs of a batch of inputs."""
        outputs = keras.ops.matmul(inputs, self.kernel) + self.bias
        return outputs if self.activation is None else self.activation(outputs)


class NaiveSequential:
    """Layers one after the other.

    Args:
        layers: The layers; each takes the output of the one before.
    """

    def __init__(self, layers: Sequence[NaiveDense]) -> None:
        self.layers = layers
        self.weights = [weight for layer in layers for weight in layer.weights]

    def __call__(self, inputs: Any) -> Any:
        """The output of the last layer."""
        for layer in self.layers:
            inputs = layer(inputs)
        return inputs


class NaiveMlp(keras.Model):
    """The naive network as a Keras model.

    Args:
        input_shape: One sample's shape; it is flattened.
        num_classes: Logits in the output, ``(batch_size, num_classes)`` float32.
        units: Width of the hidden layer.
    """

    def __init__(
        self, input_shape: tuple[int, ...], num_classes: int, *, units: int = 512, **kwargs: Any
    ) -> None:
        super().__init__(**{"name": "naive_mlp", **kwargs})
        self.arguments = {
            "input_shape": list(input_shape),
            "num_classes": num_classes,
            "units": units,
        }
        self.input_size = math.prod(input_shape)
        self.network = NaiveSequential(
            [NaiveDense(self.input_size, units, keras.ops.relu), NaiveDense(units, num_classes)]
        )
        # Keras finds variables only in lists and in Keras layers, which these layers are not.
        self.network_weights = self.network.weights

    def call(self, inputs: Any) -> Any:
        """Map samples, ``(batch_size, *input_shape)``, to logits."""
        return self.network(keras.ops.reshape(inputs, (-1, self.input_size)))

    def get_config(self) -> dict[str, Any]:
        """The model's config for Keras."""
        return {**super().get_config(), **self.arguments}
