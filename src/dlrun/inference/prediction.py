"""Predictions of a model, with the task's activation, batch by batch."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dlrun.config.schema import Config

if TYPE_CHECKING:  # NumPy is not needed to report a wrong command
    from dlrun.data.input_spec import InputSpec
    from dlrun.data.readers import Part
    from dlrun.data.tree import Arrays
    from dlrun.inference.described_columns import Columns, DescribedColumns, Plain
    from dlrun.inference.loaded_run import LoadedRun

AT_ONCE = 4096  # samples whose predictions are described together


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


def predict_parts(run: LoadedRun, parts: Iterable[Part]) -> Iterator[Arrays]:
    """Yield the outputs of all samples, one batch at a time.

    Raises:
        DlrunError: If a sample does not fit the model.
    """
    predict = predictor(run.model, run.config, run.spec)
    for part in _fitting(run, parts):
        yield from predict(part.inputs, False)


def predict_columns(
    run: LoadedRun, parts: Iterable[Part], described: DescribedColumns | Plain, *, errors: bool
) -> Iterator[Columns]:
    """Yield the predictions of all samples as columns, some samples at a time.

    Args:
        run: The run.
        parts: The samples.
        described: What makes columns of outputs.
        errors: Whether a column says what is wrong with a sample.

    Raises:
        DlrunError: If a sample does not fit the model.
    """
    import numpy as np

    from dlrun.data.tree import concatenate, leaves, tree_map
    from dlrun.inference.described_columns import DescribedColumns

    predict = predictor(run.model, run.config, run.spec, units=False)
    fill = isinstance(described, DescribedColumns)  # of a table, in parts that differ in size
    for part in _fitting(run, parts):
        if len(part.rows) <= max(AT_ONCE, run.config.batch_size):
            batches = list(predict(part.inputs, fill))
            none = tree_map(lambda classes: np.zeros((0, classes)), run.spec.num_classes)
            outputs = concatenate(batches) if batches else none
            yield described.columns(part, outputs, errors=errors)
            continue
        first = 0  # samples in memory, all of which could be read
        for outputs in predict(part.inputs, False):
            rows = slice(first, first + len(leaves(outputs)[0]))
            names = {name: values[rows] for name, values in part.names.items()}
            piece = replace(part, rows=part.rows[rows], names=names)
            yield described.columns(piece, outputs, errors=errors)
            first = rows.stop


def _fitting(run: LoadedRun, parts: Iterable[Part]) -> Iterator[Part]:
    """The parts; of the user's own, the first is checked against the model, as are all arrays."""
    from dlrun.assembly.check_inputs import check_inputs
    from dlrun.data.tree import leaves

    checked = False
    for part in parts:
        if part.source and not checked and len(leaves(part.inputs)[0]):
            check_inputs(run.model, run.spec, {f"{part.source}: inputs": part.inputs})
            checked = True
        yield part
