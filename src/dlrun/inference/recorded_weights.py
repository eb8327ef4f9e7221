"""The weights of samples in the loss of an evaluation: those of their classes as recorded."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # NumPy is not needed to report a wrong command
    from dlrun.config.schema import Config
    from dlrun.data.dataset import Dataset
    from dlrun.runs.directory import RunDir

log = logging.getLogger("dlrun")


def weigh_as_recorded(
    model: Any, data: Dataset, config: Config, run: RunDir, source: str | None = None
) -> tuple[Dataset, list[str]]:
    """A data set with weights as :func:`dlrun.assembly.weights.weigh` gives them.

    Args:
        model: Compiled with the config's losses.
        data: The data set, with the weights that it was read with.
        config: The run's config, with the weights of classes that it has recorded.
        run: The run.
        source: What a file of the user's is called in messages; None for the data of the config,
            by whose training split the classes are balanced if the run has recorded no weights.

    Returns:
        The data set, and a line for what is unusual in the weights, which is also logged.

    Raises:
        DlrunError: If a loss can't be weighted, or labels are not class numbers.
    """
    from dlrun.assembly.classes import recorded_weights
    from dlrun.assembly.weights import weigh

    if source is None and run.record.get("class_weight") is None:
        return weigh(model, data, config), []
    of_classes, notes = recorded_weights(data, config, source or "data")
    for note in notes:
        log.warning("%s", note)
    return weigh(model, data, config, of_classes), notes
