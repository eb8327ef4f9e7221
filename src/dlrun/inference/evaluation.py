"""Loss and metrics of a model on one split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dlrun.config.outputs import logged_metrics
from dlrun.config.schema import Config
from dlrun.runs.logged_names import in_order

if TYPE_CHECKING:  # NumPy is not needed to report a wrong command
    from dlrun.data.dataset import Dataset
    from dlrun.feeds import Feed


def evaluate_split(
    model: Any,
    config: Config,
    data: Dataset,
    split: str,
    feed: Feed,
    callbacks: Sequence[Any] = (),
) -> dict[str, float]:
    """Evaluate a model on one split, in batches; loss and metrics in the config's order."""
    from dlrun.data.batches import Batches

    source = feed(Batches(data, data.split(split), config.batch_size))
    metrics = model.evaluate(source, callbacks=list(callbacks), verbose=0, return_dict=True)
    names = in_order(metrics, list(logged_metrics(config.task)))  # Keras sorts them by name
    return {name: float(metrics[name]) for name in names}
