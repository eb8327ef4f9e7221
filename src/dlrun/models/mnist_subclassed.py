"""A subclassed model with custom layers, written once for every backend.

Source: Introduction to Keras for engineers, "Writing cross-framework custom components".
"""

from typing import Any

import keras


class OwnDense(keras.layers.Layer):
    """A dense layer in ``keras.ops``; the input's width is set when it is built.

    Args:
        units: Width of the output, ``(batch_size, units)``.
    """

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape: tuple[int, ...]) -> None:
        """Create the kernel, ``(input_shape[-1], units)``, and the bias, ``(units,)``."""
        self.kernel = self.add_weight(
            shape=(input_shape[-1], self.units), initializer="glorot_normal", name="kernel"
        )
        self.bias = self.add_weight(shape=(self.units,), initializer="zeros", name="bias")

    def call(self, inputs: Any) -> Any:
        """The affine map of the inputs."""
        return keras.ops.matmul(inputs, self.kernel) + self.bias

    def get_config(self) -> dict[str, Any]:
        """What Keras saves the layer by."""
        return {**super().get_config(), "units": self.units}


class OwnDropout(keras.layers.Layer):
    """Dropout in ``keras.random``; the generator's state is a variable of the layer.

    Args:
        rate: Share of the inputs that are set to 0 in training.
        seed: The generator's seed; None draws one.
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate = rate
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs: Any, training: bool = False) -> Any:
        """The inputs; in training, some are set to 0 and the others scaled up to compensate."""
        if not training:
            return inputs
        return keras.random.dropout(inputs, self.rate, seed=self.seed_generator)

    def get_config(self) -> dict[str, Any]:
        """What Keras saves the layer by."""
        return {**super().get_config(), "rate": self.rate}


class MnistSubclassed(keras.Model):
    """The convnet's features, then the custom dropout and dense layers.

    Args:
        input_shape: ``(height, width)`` or ``(height, width, channels)``.
        num_classes: Logits in the output, ``(batch_size, num_classes)`` float32.
        rate: Share of the features that dropout sets to 0 in training.
    """

    def __init__(
        self, input_shape: tuple[int, ...], num_classes: int, *, rate: float = 0.5, **kwargs: Any
    ) -> None:
        super().__init__(**{"name": "mnist_subclassed", **kwargs})
        self.arguments = {
            "input_shape": list(input_shape),
            "num_classes": num_classes,
            "rate": rate,
        }
        channels = input_shape[2:] or (1,)
        self.conv_base = keras.Sequential(
            [
                keras.layers.Reshape((*input_shape[:2], *channels)),
                keras.layers.Conv2D(64, 3, activation="relu"),
                keras.layers.Conv2D(64, 3, activation="relu"),
                keras.layers.MaxPooling2D(2),
                keras.layers.Conv2D(128, 3, activation="relu"),
                keras.layers.Conv2D(128, 3, activation="relu"),
                keras.layers.GlobalAveragePooling2D(),
            ],
            name="conv_base",
        )
        self.dropout = OwnDropout(rate, name="dropout")
        self.dense = OwnDense(num_classes, dtype="float32", name="logits")

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Map images, ``(batch_size, *input_shape)``, to logits."""
        return self.dense(self.dropout(self.conv_base(inputs), training=training))

    def get_config(self) -> dict[str, Any]:
        """The model's config for Keras."""
        return {**super().get_config(), **self.arguments}
