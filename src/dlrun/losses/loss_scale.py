"""The optimizer that scales the loss in ``mixed_float16``, which wraps the one of the config."""

from typing import Any


def inner_optimizer(optimizer: Any) -> Any:
    """The optimizer of the config: what a ``LossScaleOptimizer`` wraps, any other as it is.

    The class, the schedule and most settings are those of the one inside.
    """
    return getattr(optimizer, "inner_optimizer", optimizer)
