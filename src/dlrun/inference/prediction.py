"""Predictions of a model, with the task's activation, batch by batch."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
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
    yield from predictor(model, config, spec)(inputs, False)


def predictor(
    model: Any, config: Config, spec: InputSpec, *, units: bool = True
) -> Callable[[Arrays, bool], Iterator[Arrays]]:
    """A function that predicts as :func:`predict_batches`.

    It takes samples, and whether the last batch is filled up to the size of the others: a framework
    compiles a model for each size that it sees.

    Args:
        model: As for :func:`predict_batches`, as are ``config`` and ``spec``.
        config: See there.
        spec: See there.
        units: As for :func:`dlrun.assembly.model.with_activation`.
    """
    import numpy as np

    from dlrun.assembly.model import with_activation
    from dlrun.data.tree import leaves, tree_map

    whole, size = with_activation(model, config, spec, units=units), config.batch_size

    def predict(inputs: Arrays, fill: bool) -> Iterator[Arrays]:
        samples = len(leaves(inputs)[0])
        for first in range(0, samples, size):
            take = operator.itemgetter(slice(first, first + size))
            batch = tree_map(np.asarray, tree_map(take, inputs))
            there = min(size, samples - first)
            if fill and there < size:  # repeat the last sample
                rows = np.minimum(np.arange(size), there - 1)
                batch = tree_map(operator.itemgetter(rows), batch)
            outputs = whole.predict_on_batch(spec.prepare(batch))
            if isinstance(named := spec.num_classes, Mapping):
                yield {name: np.asarray(outputs[name])[:there] for name in named}  # Keras sorts
            else:
                yield np.asarray(outputs)[:there]

    return predict
