"""Classify a text with self-attention.

Source: Vaswani et al., Attention Is All You Need, 2017, one encoder layer without its dense part.
"""

from collections.abc import Mapping
from typing import Any

import keras

from dlrun.models.texts import text_input


def text_attention(
    input_shape: Any,
    num_classes: int,
    *,
    vocabulary_size: int | None = None,
    input_sizes: Mapping[str | None, tuple[int, ...]] | None = None,
    units: int = 16,
    num_heads: int = 2,
) -> keras.Model:
    """A Functional model: embedding with a mask, self-attention, normalization, average, logits.

    Args:
        input_shape: ``(length,)``, of token ids; 0 is padding.
        num_classes: Logits in the output, ``(batch_size, num_classes)`` float32.
        vocabulary_size: Ids are below it, if the data do not say what they are below.
        input_sizes: What the data say that ids are below.
        units: Width of the embedding, a multiple of ``num_heads``.
        num_heads: Attention heads.
    """
    inputs, size = text_input("text_attention", input_shape, input_sizes, vocabulary_size)
    x = keras.layers.Embedding(size, units, mask_zero=True)(inputs)
    attended = keras.layers.MultiHeadAttention(num_heads, units // num_heads)(x, x)
    x = keras.layers.LayerNormalization()(keras.layers.Add()([x, attended]))
    x = keras.layers.GlobalAveragePooling1D()(x)
    logits = keras.layers.Dense(num_classes, dtype="float32", name="logits")(x)
    return keras.Model(inputs, logits, name="text_attention")
