"""Classify a text: an embedding, an encoder by option, a dense layer.

Source: Vaswani et al., Attention Is All You Need, 2017, with the normalization before each part, as
in Xiong et al., On Layer Normalization in the Transformer Architecture, 2020.
"""

from collections.abc import Mapping
from typing import Any

import keras

from dlrun.errors import DlrunError
from dlrun.models.heads import heads
from dlrun.models.texts import text_input

ENCODERS = ("pooling", "lstm", "transformer")


def text_classifier(
    input_shape: Any,
    num_classes: Any,
    *,
    input_sizes: Mapping[str | None, tuple[int, ...]] | None = None,
    vocabulary_size: int | None = None,
    encoder: str = "pooling",
    units: int = 64,
    blocks: int = 1,
    num_heads: int = 4,
    dropout: float = 0.0,
) -> keras.Model:
    """A Functional model; no encoder sees the padding.

    Args:
        input_shape: ``(length,)``, ids of words; 0 is padding.
        num_classes: Values of the output, ``(batch_size, num_classes)`` float32; a mapping for
            several outputs.
        input_sizes: What the data say that ids are below.
        vocabulary_size: The same, for data that do not say it.
        encoder: ``pooling``: the average of the words. ``lstm``: the last state of an LSTM.
            ``transformer``: self-attention with learned positions, then the average.
        units: Width of the embedding, the encoder and the dense layer before the output.
        blocks: LSTMs, or transformer blocks, one after the other.
        num_heads: Attention heads of a transformer block; they divide ``units``.
        dropout: The share of values that are dropped in training, in each block and at the end.

    Raises:
        DlrunError: If the inputs are not one text, or an option is impossible.
    """
    if encoder not in ENCODERS:
        raise DlrunError(f"model.encoder={encoder}: expected {', '.join(ENCODERS)}")
    if encoder == "transformer" and units % num_heads:
        raise DlrunError(
            f"model.units={units} can't be divided among model.num_heads={num_heads}",
            hint=f"model.units={max(units // num_heads, 1) * num_heads}",
        )
    inputs, size = text_input("text_classifier", input_shape, input_sizes, vocabulary_size)
    x = keras.layers.Embedding(size, units, mask_zero=True, name="words")(inputs)
    if encoder == "lstm":
        for block in range(1, blocks + 1):
            more = block < blocks
            x = keras.layers.LSTM(units, return_sequences=more, name=f"lstm_{block}")(x)
            x = _dropout(x, dropout, f"dropout_{block}") if more else x
    else:
        if encoder == "transformer":
            x = Positions(name="positions")(x)
            for block in range(1, blocks + 1):
                x = _block(x, units, num_heads, dropout, f"block_{block}")
            x = keras.layers.LayerNormalization(name="normal")(x)
        x = keras.layers.GlobalAveragePooling1D(name="average")(x)
    x = keras.layers.Dense(units, activation="relu", name="hidden")(x)
    x = _dropout(x, dropout, "dropout")
    return keras.Model(inputs, heads(x, num_classes), name="text_classifier")


def _block(x: Any, units: int, num_heads: int, dropout: float, name: str) -> Any:
    """Self-attention and a dense part, each added to its input, ``(batch_size, length, units)``."""
    layers = keras.layers
    normal = layers.LayerNormalization(name=f"{name}_normal_1")(x)
    attention = layers.MultiHeadAttention(num_heads, units // num_heads, name=f"{name}_attention")
    attended = _dropout(attention(normal, normal), dropout, f"{name}_dropout_1")
    x = layers.Add(name=f"{name}_add_1")([x, attended])
    dense = layers.LayerNormalization(name=f"{name}_normal_2")(x)
    dense = layers.Dense(2 * units, activation="relu", name=f"{name}_wide")(dense)
    dense = layers.Dense(units, name=f"{name}_narrow")(dense)
    return layers.Add(name=f"{name}_add_2")([x, _dropout(dense, dropout, f"{name}_dropout_2")])


def _dropout(x: Any, rate: float, name: str) -> Any:
    return keras.layers.Dropout(rate, name=name)(x) if rate else x


class Positions(keras.layers.Layer):
    """Add a learned vector for each place of a text, ``(batch_size, length, units)``."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.supports_masking = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the vectors, ``(length, units)``."""
        self.places = self.add_weight(
            shape=input_shape[1:], initializer="random_uniform", name="places"
        )

    def call(self, inputs: Any) -> Any:
        """The sum."""
        return inputs + self.places
