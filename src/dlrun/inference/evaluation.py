"""Loss and metrics of a model on one split, and what its outputs were, from one pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dlrun.config.outputs import logged_metrics
from dlrun.config.schema import Config
from dlrun.runs.logged_names import in_order

if TYPE_CHECKING:  # NumPy is not needed to report a wrong command
    from dlrun.data.batches import Batches
    from dlrun.data.dataset import Dataset
    from dlrun.evaluation.outcome import Outcome
    from dlrun.feeds import Feed

PLACING = 1024  # samples that place the bins of areas


@dataclass(frozen=True)
class Evaluation:
    """A model on a split.

    Args:
        metrics: Loss and metrics, in the config's order.
        outcomes: By output, ``""`` for a single one.
        reasons: Why an output has no outcome.
    """

    metrics: dict[str, float]
    outcomes: Mapping[str, Outcome]
    reasons: Mapping[str, str]


def evaluate_split(
    model: Any, config: Config, data: Dataset, split: str, feed: Feed, callbacks: Sequence[Any] = ()
) -> dict[str, float]:
    """Evaluate a model on one split, in batches; loss and metrics in the config's order.

    They are the same whatever the batch size, up to rounding.

    Args:
        model: A compiled model.
        config: The run's config.
        data: The data set.
        split: ``train``, ``validation`` or ``test``.
        feed: Makes a source for ``model.evaluate`` from batches.
        callbacks: Keras callbacks, for the hooks of evaluation.
    """
    from dlrun.data.batches import Batches

    batches = Batches(data, data.split(split), config.batch_size)
    with _placed_areas(model, batches):
        metrics = model.evaluate(
            feed(batches), callbacks=list(callbacks), verbose=0, return_dict=True
        )
    names = in_order(metrics, list(logged_metrics(config.task)))  # Keras sorts them by name
    return {name: float(metrics[name]) for name in names}


def evaluate_outputs(
    model: Any,
    config: Config,
    data: Dataset,
    split: str,
    feed: Feed,
    callbacks: Sequence[Any] = (),
    *,
    most: int | None = None,
) -> Evaluation:
    """As :func:`evaluate_split`, and what the outputs were.

    Args:
        model: As for :func:`evaluate_split`, as are the next five.
        config: See there.
        data: See there.
        split: See there.
        feed: See there.
        callbacks: See there.
        most: As for :class:`dlrun.inference.collect.Collector`.
    """
    from dlrun.assembly.capture import captured_of
    from dlrun.inference.collect import Collector

    collector = Collector(config, data, data.split(split), most=most)
    captured = captured_of(model)
    with captured.to(collector.take) if captured else nullcontext(), _single_steps(model):
        metrics = evaluate_split(model, config, data, split, feed, callbacks)
    collector.close()
    return Evaluation(metrics, collector.outcomes, collector.reasons)


@contextmanager
def _single_steps(model: Any) -> Iterator[None]:
    """One batch for each call: of several, Keras returns what the last one did."""
    steps = model.steps_per_execution
    if steps == 1:
        yield
        return
    model.steps_per_execution = 1
    model.test_function = None
    try:
        yield
    finally:
        model.steps_per_execution = steps
        model.test_function = None


@contextmanager
def _placed_areas(model: Any, batches: Batches) -> Iterator[None]:
    """Let some samples of the whole split, not its first batch, place the bins of areas."""
    from dlrun.assembly.compile import compiled_metrics

    areas = [m for m in compiled_metrics(model) if hasattr(getattr(m, "metric", None), "place")]
    if areas:
        labels, outputs = _sample(model, batches)
    for area in areas:
        if area.output is None:
            area.metric.place(labels, outputs)
        else:
            area.metric.place(labels[area.output], outputs[area.output])
    try:
        yield
    finally:
        for area in areas:
            area.metric.release()


def _sample(model: Any, batches: Batches) -> tuple[Any, Any]:
    """Labels and outputs of up to ``PLACING`` samples from all over the split."""
    import numpy as np

    from dlrun.data.tree import concatenate, tree_map

    size = min(len(batches.split), PLACING)
    rows = np.linspace(0, len(batches.split) - 1, size).astype(np.int64)
    labels, outputs = [], []
    for first in range(0, size, batches.batch_size):
        inputs, some_labels, *_ = batches.prepare(rows[first : first + batches.batch_size])
        labels.append(some_labels)
        outputs.append(tree_map(np.asarray, model.predict_on_batch(inputs)))
    return concatenate(labels), concatenate(outputs)
