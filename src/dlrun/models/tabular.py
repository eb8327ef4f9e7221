"""An MLP for tables: numbers as they are, an embedding for each category, texts averaged."""

from collections.abc import Mapping
from typing import Any

import keras

from dlrun.data.tree import leaves_by_name
from dlrun.models.heads import heads


def tabular(
    input_shape: Any,
    num_classes: Any,
    *,
    input_sizes: Mapping[str | None, tuple[int, ...]],
    units: int = 64,
    blocks: int = 2,
    dropout: float = 0.0,
    embedding: int = 16,
) -> keras.Model:
    """A Functional model; from the second hidden layer on, each adds to the one before it.

    Args:
        input_shape: One sample's shape, or a mapping of several: numbers ``(values,)``, and ids.
        num_classes: Values of the output, ``(batch_size, num_classes)`` float32; a mapping for
            several outputs.
        input_sizes: For inputs of ids, the number that they are below: of each value, which then
            has an embedding of its own, or of all, which are then words of a text, padded with 0.
        units: Width of the hidden layers.
        blocks: Hidden layers.
        dropout: The share of the hidden values that are dropped in training.
        embedding: The largest width of an embedding of a category. Small ones get half as many
            values as there are categories; a text's is twice as wide.
    """
    inputs, parts = {}, []
    for name, shape in leaves_by_name(input_shape).items():
        sizes = input_sizes.get(name, ())
        inputs[name] = keras.Input(shape, name=name, dtype="int32" if sizes else None)
        if not sizes:
            flat = keras.layers.Flatten(name=f"flat_{len(inputs)}")
            parts.append(inputs[name] if len(shape) == 1 else flat(inputs[name]))
        elif len(sizes) == shape[-1]:
            for value, size in enumerate(sizes):
                width = min(embedding, (size + 1) // 2)
                column = keras.layers.Embedding(size, width, name=f"category_{value}")
                parts.append(column(inputs[name][:, value]))
        else:
            words = keras.layers.Embedding(
                sizes[0], 2 * embedding, mask_zero=True, name=f"words_{len(inputs)}"
            )
            average = keras.layers.GlobalAveragePooling1D(name=f"text_{len(inputs)}")
            parts.append(average(words(inputs[name])))
    x = parts[0] if len(parts) == 1 else keras.layers.Concatenate(name="columns")(parts)
    for block in range(blocks):
        hidden = keras.layers.Dense(units, activation="relu", name=f"hidden_{block + 1}")(x)
        if dropout:
            hidden = keras.layers.Dropout(dropout, name=f"dropout_{block + 1}")(hidden)
        x = keras.layers.Add(name=f"residual_{block + 1}")([x, hidden]) if block else hidden
    several = isinstance(input_shape, Mapping)
    return keras.Model(inputs if several else inputs[None], heads(x, num_classes), name="tabular")
