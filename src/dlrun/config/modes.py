"""Whether a smaller or a larger value of a metric is better."""

from dlrun.config.outputs import logged_metrics, wrong_outputs
from dlrun.config.schema import Config
from dlrun.runs.metric_direction import direction


def resolve_modes(config: Config) -> None:
    """Replace each ``auto`` by ``min`` or ``max``, if the metric's direction is known.

    A callback that follows ``task.monitor`` takes the task's mode, so that one key sets all.
    """
    if any(wrong_outputs(config.task)):
        return  # reported when the config is checked
    monitor, metrics = config.task.monitor, logged_metrics(config.task)
    if config.task.mode == "auto":
        config.task.mode = direction(monitor, metrics) or "auto"
    for callback in config.callbacks.values():
        if isinstance(callback, dict) and callback.get("mode") == "auto":
            watched = callback.get("monitor", monitor)
            task_mode = config.task.mode if watched == monitor else None
            callback["mode"] = task_mode or direction(str(watched), metrics) or "auto"
