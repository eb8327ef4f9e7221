"""Whether the smaller or the larger value of a metric is the better one."""

import re
from typing import Any

from dlrun.config.outputs import logged, wrong_outputs
from dlrun.config.schema import Config

LARGER = re.compile(r"acc|auc|precision|recall|sensitivity|specificity|f1|fbeta|iou|r2|cosine|dice")
SMALLER = re.compile(
    r"loss|error|entropy|divergence|poisson|hinge|log_?cosh|m[as]pe|mse|mae|rmse|msle"
)


def resolve_modes(config: Config) -> None:
    """Put ``min`` or ``max`` in place of each ``auto``, as far as names tell.

    A callback that follows ``task.monitor`` takes the task's mode, so that one word sets all.
    """
    if any(wrong_outputs(config.task)):
        return  # told when the config is checked
    monitor, metrics = config.task.monitor, logged(config.task)
    if config.task.mode == "auto":
        config.task.mode = direction(monitor, metrics) or "auto"
    for callback in config.callbacks.values():
        if isinstance(callback, dict) and callback.get("mode") == "auto":
            own = callback.get("monitor", monitor)
            followed = config.task.mode if own == monitor else None
            callback["mode"] = followed or direction(str(own), metrics) or "auto"


def direction(monitor: str, metrics: dict[str, Any]) -> str | None:
    """``min``, ``max``, or None where neither the metric's name nor its class tells."""
    name = monitor.removeprefix("val_")
    spec = metrics.get(name)
    target = spec.get("_target_", "") if isinstance(spec, dict) else str(spec or "")
    for words in (name, target.rpartition(".")[2]):
        # Errors first: "mean absolute percentage error" has no larger-is-better in it, but a
        # "loss of precision" would.
        if SMALLER.search(words.lower()):
            return "min"
        if LARGER.search(words.lower()):
            return "max"
    return None
