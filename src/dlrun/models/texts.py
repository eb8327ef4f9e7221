"""The input of a model that reads one text."""

from collections.abc import Mapping
from typing import Any

import keras

from dlrun.errors import DlrunError


def text_input(
    model: str,
    input_shape: Any,
    input_sizes: Mapping[str | None, tuple[int, ...]] | None,
    vocabulary_size: int | None = None,
) -> tuple[Any, int]:
    """The ids of a text's words, and the number that they are below.

    Args:
        model: The name of the model, for errors.
        input_shape: ``(length,)``.
        input_sizes: What the data say that ids are below; the key of a single input is None.
        vocabulary_size: The same for data that do not say it.

    Returns:
        An input ``(batch_size, length)`` int32, and the rows of its embedding.

    Raises:
        DlrunError: If there are several inputs, or they are not the words of a text.
    """
    if isinstance(input_shape, Mapping):
        raise DlrunError(
            f"model={model} reads one text; the data have {len(input_shape)} inputs:"
            f" {', '.join(map(str, input_shape))}",
            hint="model=tabular, or leave out the other columns: data.drop=[COLUMN]",
        )
    sizes = (input_sizes or {}).get(None) or ((vocabulary_size,) if vocabulary_size else ())
    if len(input_shape) == 1 and not sizes:
        raise DlrunError(
            f"model={model}: the data do not say what the ids of words are below",
            hint="model.vocabulary_size=NUMBER if they are ids; another model if they are not",
        )
    if len(input_shape) != 1 or len(sizes) != 1:
        raise DlrunError(
            f"model={model} reads a text, the ids of its words; the data have inputs of shape"
            f" {tuple(input_shape)}" + (", an id for each column" if len(sizes) > 1 else ""),
            hint="choose data with a text, such as data=text_folder, or another model",
        )
    return keras.Input(input_shape, dtype="int32"), sizes[0]
