"""Predictions of a model, with the task's activation, batch by batch."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from dlrun.config.schema import Config

if TYPE_CHECKING:  # NumPy is not needed to report a wrong command
    from dlrun.data.input_spec import InputSpec
    from dlrun.data.tree import Arrays


def predict_batches(
    model: Any, config: Config, spec: InputSpec, inputs: Arrays
) -> Iterator[Arrays]:
    """Yield predictions, with the task's activation, one batch at a time.

    Args:
        model: The model; its outputs are logits.
        config: Gives the activation and the batch size.
        spec: Gives the inputs' shape and scale, and the outputs' names.
        inputs: Unscaled samples, ``(samples, *input_shape)``, by name if there are several inputs.
    """
    import numpy as np

    from dlrun.assembly.model import with_activation
    from dlrun.data.tree import leaves, tree_map

    predictor, size = with_activation(model, config, spec), config.batch_size
    for first in range(0, len(leaves(inputs)[0]), size):
        take = operator.itemgetter(slice(first, first + size))
        batch = tree_map(np.asarray, tree_map(take, inputs))
        outputs = predictor.predict_on_batch(spec.prepare(batch))
        if isinstance(named := spec.num_classes, Mapping):
            yield {name: np.asarray(outputs[name]) for name in named}  # Keras sorts them
        else:
            yield np.asarray(outputs)
