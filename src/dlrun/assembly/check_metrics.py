"""Find out before training what each metric will log, and refuse what can't be logged.

Keras takes any result, and fails at the end of an epoch on one that is not a number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from dlrun.config.schema import Config
from dlrun.data.input_spec import ArraySpec
from dlrun.errors import DlrunError, describe, list_names
from dlrun.runs.logged_names import metric_of

SAMPLES = 4  # of the batch that a metric is tried on
SHOWN = 20


class _Result(keras.Operation):
    """A metric as a function of labels and outputs, to be evaluated without values."""

    def __init__(self, metric: keras.metrics.Metric) -> None:
        super().__init__()
        self.metric = metric

    def call(self, labels: Any, outputs: Any, *weights: Any) -> Any:
        self.metric.update_state(labels, outputs, *weights)
        return self.metric.result()


def logged_by(
    key: str,
    metric: keras.metrics.Metric,
    labels: ArraySpec,
    outputs: tuple[int | None, ...],
    *,
    weighted: bool = False,
) -> list[str]:
    """The names of the values that a metric logs.

    Args:
        key: The metric's key in the config.
        metric: From the config.
        labels: One sample's labels.
        outputs: The shape of one sample's outputs.
        weighted: Whether it gets the weights of samples.

    Raises:
        DlrunError: If the metric can't take them, or gives more than a number or a vector.
    """
    if isinstance(metric, keras.metrics.Mean):
        return [metric.name]
    result = _result(key, metric, labels, tuple(axis or 1 for axis in outputs), weighted)
    values = dict(_flat(metric.name, result))
    for shape in values.values():
        if shape:
            raise DlrunError(
                f"{key}: gives values of shape {shape}; a metric gives a number, or one for each"
                " class",
                hint=f"reduce them in the metric's result(), or leave it out: ~{key}",
            )
    return list(values)


def check_monitors(config: Config, logged: Sequence[str]) -> None:
    """Refuse a monitor that no metric logs, as one of a metric that has a value for each class.

    Args:
        config: The run's config.
        logged: All values that an epoch logs, without those of validation.

    Raises:
        DlrunError: If there is one.
    """
    monitors = {"task.monitor": config.task.monitor}
    for name, spec in config.callbacks.items():
        if isinstance(spec, dict) and spec.get("monitor"):
            monitors[f"callbacks.{name}.monitor"] = str(spec["monitor"])
    for key, monitor in monitors.items():
        name = monitor.removeprefix("val_")
        if name in logged:
            continue
        prefix = monitor.removesuffix(name)
        values = [f"{prefix}{n}" for n in logged if metric_of(n, [name]) == name]
        known = values or [f"{prefix}{n}" for n in logged]
        raise DlrunError(
            f"{key}={monitor}: "
            + (f"{name} has {len(values)} values" if values else "nothing logs it")
            + f"; there are {list_names(known, SHOWN)}",
            hint=f"{key}={known[0]}, or a metric with an average" if values else None,
        )


def _result(
    key: str,
    metric: keras.metrics.Metric,
    labels: ArraySpec,
    outputs: tuple[int, ...],
    weighted: bool,
) -> Any:
    dtype = "int32" if np.issubdtype(np.dtype(labels.dtype), np.integer) else "float32"
    shapes = [((SAMPLES, *labels.shape), dtype), ((SAMPLES, *outputs), "float32")]
    shapes += [((SAMPLES,), "float32")] if weighted else []
    try:
        return _Result(metric).compute_output_spec(*(keras.KerasTensor(*s) for s in shapes))
    except Exception:  # one that reads values: it may still do so in a loop that is not compiled
        pass
    try:
        return _Result(metric).call(*(keras.ops.zeros(*shape) for shape in shapes))
    except Exception as error:
        raise DlrunError(
            f"{key}: can't take labels {shapes[0][0]} and outputs {shapes[1][0]}:"
            f" {describe(error):.200}",
            hint="choose one for these labels: 'dlrun list metrics'",
        ) from error
    finally:
        metric.reset_state()


def _flat(name: str, result: Any) -> Iterator[tuple[str, tuple[int, ...]]]:
    """The names and shapes of a result."""
    if isinstance(result, Mapping):
        for inner, value in result.items():
            yield from _flat(inner, value)
    else:
        yield name, tuple(getattr(result, "shape", np.shape(result)))
