"""Whether larger or smaller values of a metric are better, and which of two is."""

import math
import re
from typing import Any

from dlrun.runs.logged_names import metric_of

LARGER = re.compile(
    r"acc|auc|precision|recall|sensitivity|specificity|f1|f_?beta|iou|jaccard|r2|cosine|dice"
    r"|top_?k|top_?\d|pearson|correlation|kappa|matthews"
)
SMALLER = re.compile(
    r"loss|error|entropy|divergence|poisson|hinge|log_?cosh|m[as]pe|mse|mae|rmse|msle"
)


def direction(monitor: str, metrics: dict[str, Any]) -> str | None:
    """``min``, ``max``, or None if it is unknown from the metric's name and its class."""
    name = monitor.removeprefix("val_")
    spec = metrics.get(metric_of(name, metrics))
    target = spec.get("_target_", "") if isinstance(spec, dict) else str(spec or "")
    for words in (name, target.rpartition(".")[2]):
        # Errors first, as a name such as "loss of precision" matches both.
        if SMALLER.search(words.lower()):
            return "min"
        if LARGER.search(words.lower()):
            return "max"
    return None


def is_better(value: float, best: float | None, mode: str) -> bool:
    """Whether a value is better than the best so far; one that is not finite never is.

    Args:
        value: The new value.
        best: The best so far; None before the first.
        mode: ``min`` or ``max``.
    """
    if not math.isfinite(value):
        return False
    if best is None or not math.isfinite(best):
        return True
    return value < best if mode == "min" else value > best
