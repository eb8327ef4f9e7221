"""Classify a text with a recurrent layer."""

from collections.abc import Mapping
from typing import Any

import keras

from dlrun.models.texts import text_input


def text_lstm(
    input_shape: Any,
    num_classes: int,
    *,
    vocabulary_size: int | None = None,
    input_sizes: Mapping[str | None, tuple[int, ...]] | None = None,
    units: int = 16,
) -> keras.Model:
    """A Sequential model: embedding with a mask, LSTM, logits.

    Args:
        input_shape: ``(length,)``, of token ids; 0 is padding.
        num_classes: Logits in the output, ``(batch_size, num_classes)`` float32.
        vocabulary_size: Ids are below it, if the data do not say what they are below.
        input_sizes: What the data say that ids are below.
        units: Width of the embedding and of the LSTM.
    """
    inputs, size = text_input("text_lstm", input_shape, input_sizes, vocabulary_size)
    return keras.Sequential(
        [
            inputs,
            keras.layers.Embedding(size, units, mask_zero=True),
            keras.layers.LSTM(units),
            keras.layers.Dense(num_classes, dtype="float32", name="logits"),
        ],
        name="text_lstm",
    )
