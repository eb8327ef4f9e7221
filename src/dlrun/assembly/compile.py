"""Compile a model with the config's optimizer, loss and metrics.

Import it after the backend has started.
"""

from collections.abc import Mapping
from typing import Any

import keras

from dlrun.config.instantiate import component_errors, instantiate, partial
from dlrun.config.outputs import outputs_by_name
from dlrun.config.schema import Config
from dlrun.errors import DlrunError
from dlrun.losses.sum_of_losses import SumOfLosses
from dlrun.metrics.loss import LossMetric


def compile_model(model: keras.Model, config: Config, *, training: bool) -> None:
    """Compile the model with its loss and metrics, and for training with its optimizer."""
    optimizer = _optimizer(config.optimizer) if training else None
    loss: Any
    metrics: Any
    if (outputs := outputs_by_name(config.task)) is None:
        loss = _loss("task.loss", config.task.loss)
        metrics = _metrics("task.metrics", config.task.metrics or {})
    else:
        specs = {name: out.loss for name, out in outputs.items() if out.loss is not None}
        losses = {name: _loss(f"task.loss.{name}", spec) for name, spec in specs.items()}
        metrics = {n: _metrics(f"task.metrics.{n}", out.metrics) for n, out in outputs.items()}
        if len(losses) > 1:
            metrics |= {n: [LossMetric(loss), *metrics[n]] for n, loss in losses.items()}
        loss = [SumOfLosses(losses)]  # a list: else Keras would call it with each output alone
    model.compile(**({"optimizer": optimizer} if optimizer else {}), loss=loss, metrics=metrics)
    if keras.backend.backend() == "numpy":
        _add_up_losses(model)
    if optimizer is not None:
        # Keras makes the slots in the first step; made here, every checkpoint has them.
        model.optimizer.build(model.trainable_variables)


def _add_up_losses(model: keras.Model) -> None:
    """Let a model on NumPy have losses of its own: Keras passes their list to a sum of arrays."""
    if type(model).compute_loss is not keras.Model.compute_loss:
        return

    def compute_loss(
        x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, **_: Any
    ) -> Any:
        own = [keras.ops.sum(loss) for loss in model.losses]
        return sum(own, model._compile_loss(y, y_pred, sample_weight))

    model.compute_loss = compute_loss


def _optimizer(spec: Mapping[str, Any]) -> keras.optimizers.Optimizer:
    """A Keras optimizer, whichever library implements it."""
    target, backend = str(spec["_target_"]), keras.backend.backend()
    package = target.partition(".")[0]
    needs = {"torch": "torch", "optax": "jax"}.get(package, backend)
    if needs != backend:
        raise DlrunError(
            f"optimizer: {target} needs backend '{needs}', but this is '{backend}'",
            hint=f"backend={needs}, or choose a Keras optimizer",
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
            f"{key}={spec}: Keras has no such loss", hint="use a name such as mse, or a _target_"
        ) from error


def _metrics(key: str, specs: Mapping[str, Any]) -> list[keras.metrics.Metric]:
    return [_metric(f"{key}.{name}", name, spec) for name, spec in specs.items()]


def _metric(key: str, name: str, spec: Any) -> keras.metrics.Metric:
    # Logs use the name in the config, not Keras' name for the metric.
    if isinstance(spec, Mapping):
        return instantiate(key, spec, name=name)
    try:
        metric = keras.metrics.get(spec)
        # Most names resolve to a metric object; only a plain function needs the wrapper.
        if isinstance(metric, keras.metrics.Metric):
            return type(metric)(name=name)
        return keras.metrics.MeanMetricWrapper(metric, name=name)
    except (ValueError, TypeError) as error:
        raise DlrunError(
            f"{key}={spec}: Keras has no such metric function",
            hint="use a name such as mae, or a _target_",
        ) from error
