"""Predictions of a model, with the task's activation, batch by batch."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from dlrun.config.schema import Config

if TYPE_CHECKING:  # NumPy is not needed to tell that the command is wrong
    from dlrun.data.input_spec import InputSpec
    from dlrun.data.tree import Arrays


def predict_batches(
    model: Any, config: Config, spec: InputSpec, inputs: Arrays
) -> Iterator[Arrays]:
    """Predictions, with the task's activation, a batch at a time.

    Args:
        model: Its outputs are logits.
        config: For the activation and the batch size.
        spec: For the inputs' shape and scale, and the outputs' names.
        inputs: Samples as they are kept in memory, not scaled.
    """
    import numpy as np

    from dlrun.assembly.model import with_activation
    from dlrun.data.tree import leaves, tree_map

    predictor, size = with_activation(model, config, spec), config.batch_size
    for first in range(0, len(leaves(inputs)[0]), size):
        part = operator.itemgetter(slice(first, first + size))
        batch = tree_map(np.asarray, tree_map(part, inputs))
        outputs = predictor.predict_on_batch(spec.prepare(batch))
        if isinstance(named := spec.num_classes, Mapping):
            yield {name: np.asarray(outputs[name]) for name in named}  # Keras goes by the alphabet
        else:
            yield np.asarray(outputs)
