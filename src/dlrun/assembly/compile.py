"""From a config to a compiled model: optimizer, loss and metrics.

Imported once the backend is started.
"""

from collections.abc import Mapping
from typing import Any

import keras

from dlrun.config.instantiate import component_errors, instantiate, partial
from dlrun.config.outputs import by_output
from dlrun.config.schema import Config
from dlrun.errors import DlrunError
from dlrun.losses.sum_of_losses import SumOfLosses
from dlrun.metrics.loss import LossMetric


def compile_model(model: keras.Model, config: Config, *, training: bool) -> None:
    """Give the model its loss and metrics, and for training its optimizer."""
    optimizer = _optimizer(config.optimizer) if training else None
    loss: Any
    metrics: Any
    if (parts := by_output(config.task)) is None:
        loss = _loss("task.loss", config.task.loss)
        metrics = _metrics("task.metrics", config.task.metrics or {})
    else:
        specs = {name: part.loss for name, part in parts.items() if part.loss is not None}
        losses = {name: _loss(f"task.loss.{name}", spec) for name, spec in specs.items()}
        metrics = {n: _metrics(f"task.metrics.{n}", part.metrics) for n, part in parts.items()}
        if len(losses) > 1:
            metrics |= {n: [LossMetric(one), *metrics[n]] for n, one in losses.items()}
        loss = [SumOfLosses(losses)]  # in a list: Keras would give it each output by itself
    model.compile(**({"optimizer": optimizer} if optimizer else {}), loss=loss, metrics=metrics)
    if optimizer is not None:
        # Slots exist from the first step on; made here, a checkpoint always has them.
        model.optimizer.build(model.trainable_variables)


def _optimizer(spec: Mapping[str, Any]) -> keras.optimizers.Optimizer:
    """The optimizer, one of Keras' whatever library it comes from."""
    target, backend = str(spec["_target_"]), keras.backend.backend()
    package = target.partition(".")[0]
    needs = {"torch": "torch", "optax": "jax"}.get(package, backend)
    if needs != backend:
        raise DlrunError(
            f"optimizer: {target} works on backend '{needs}' alone, and this is '{backend}'",
            hint=f"choose backend={needs}, or one of Keras' optimizers",
        )
    with component_errors("optimizer", target):
        if package == "torch":
            from dlrun.optimizers.torch_optim import TorchOptim

            return TorchOptim(partial("optimizer", spec))
        if package == "optax":
            from dlrun.optimizers.optax import Optax

            return Optax(partial("optimizer", spec), spec.get("learning_rate"))
    optimizer = instantiate("optimizer", spec)
    if backend == "torch" and target == "keras.optimizers.Adam" and not optimizer.amsgrad:
        from dlrun.optimizers.fused_adam import FusedAdam

        return FusedAdam.from_config(optimizer.get_config())
    return optimizer


def _loss(key: str, spec: Any) -> Any:
    if isinstance(spec, Mapping):
        return instantiate(key, spec)
    try:
        return keras.losses.get(spec)
    except ValueError as error:
        raise DlrunError(
            f"{key}={spec}: Keras has no such loss", hint="a name such as mse, or a _target_"
        ) from error


def _metrics(key: str, specs: Mapping[str, Any]) -> list[keras.metrics.Metric]:
    return [_metric(f"{key}.{name}", name, spec) for name, spec in specs.items()]


def _metric(key: str, name: str, spec: Any) -> keras.metrics.Metric:
    # The name in the config is the name in every log, whatever Keras would call the metric.
    if isinstance(spec, Mapping):
        return instantiate(key, spec, name=name)
    try:
        found = keras.metrics.get(spec)
        # Keras has a class for most names, and the mean of a running mean is no metric.
        if isinstance(found, keras.metrics.Metric):
            return type(found)(name=name)
        return keras.metrics.MeanMetricWrapper(found, name=name)
    except (ValueError, TypeError) as error:
        raise DlrunError(
            f"{key}={spec}: Keras has no such metric function",
            hint="a name such as mae, or a _target_",
        ) from error
