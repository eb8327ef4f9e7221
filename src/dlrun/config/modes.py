"""Whether the smaller or the larger value of a metric is the better one."""

from dlrun.config.outputs import logged, wrong_outputs
from dlrun.config.schema import Config
from dlrun.runs.metric_direction import direction


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
