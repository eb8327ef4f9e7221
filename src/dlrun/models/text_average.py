"""Classify a text by the average of its tokens' embeddings."""

import keras


def text_average(
    input_shape: tuple[int, ...], num_classes: int, *, vocabulary_size: int, units: int = 16
) -> keras.Model:
    """A Sequential model: embedding with a mask, average, logits.

    Args:
        input_shape: ``(length,)``, of token ids; 0 is padding.
        num_classes: Logits in the output, ``(batch_size, num_classes)`` float32.
        vocabulary_size: Ids are below it.
        units: Width of the embedding.
    """
    return keras.Sequential(
        [
            keras.Input(input_shape, dtype="int32"),
            keras.layers.Embedding(vocabulary_size, units, mask_zero=True),
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dense(num_classes, dtype="float32", name="logits"),
        ],
        name="text_average",
    )
