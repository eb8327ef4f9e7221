"""Classify a text with a recurrent layer."""

import keras


def text_lstm(
    input_shape: tuple[int, ...], num_classes: int, *, vocabulary_size: int, units: int = 16
) -> keras.Model:
    """A Sequential model: embedding with a mask, LSTM, logits.

    Args:
        input_shape: ``(length,)``, of token ids; 0 is padding.
        num_classes: Logits in the output, ``(batch_size, num_classes)`` float32.
        vocabulary_size: Ids are below it.
        units: Width of the embedding and of the LSTM.
    """
    return keras.Sequential(
        [
            keras.Input(input_shape, dtype="int32"),
            keras.layers.Embedding(vocabulary_size, units, mask_zero=True),
            keras.layers.LSTM(units),
            keras.layers.Dense(num_classes, dtype="float32", name="logits"),
        ],
        name="text_lstm",
    )
