"""Loss and metrics of a model on one split."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dlrun.config.outputs import logged_metrics
from dlrun.config.schema import Config
from dlrun.runs.logged_names import in_order

if TYPE_CHECKING:  # NumPy is not needed to report a wrong command
    from dlrun.data.batches import Batches
    from dlrun.data.dataset import Dataset
    from dlrun.feeds import Feed

PLACING = 1024  # samples that place the bins of areas


def evaluate_split(
    model: Any,
    config: Config,
    data: Dataset,
    split: str,
    feed: Feed,
    callbacks: Sequence[Any] = (),
) -> dict[str, float]:
    """Evaluate a model on one split, in batches; loss and metrics in the config's order.

    They are the same whatever the batch size, up to rounding.
    """
    from dlrun.data.batches import Batches

    batches = Batches(data, data.split(split), config.batch_size)
    with _placed_areas(model, batches):
        metrics = model.evaluate(
            feed(batches), callbacks=list(callbacks), verbose=0, return_dict=True
        )
    names = in_order(metrics, list(logged_metrics(config.task)))  # Keras sorts them by name
    return {name: float(metrics[name]) for name in names}


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
