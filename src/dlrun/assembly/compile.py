"""Compile a model with the config's optimizer, loss and metrics.

Import it after the backend has started.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import keras

from dlrun import backends
from dlrun.assembly.capture import capture_outputs
from dlrun.assembly.check_metrics import logged_by
from dlrun.assembly.check_outputs import (
    data_may_change,
    label_format,
    task_outputs,
    weighs_each_label,
)
from dlrun.assembly.model import outputs_of
from dlrun.assembly.schedule import set_schedule
from dlrun.config.groups import without_kept
from dlrun.config.instantiate import component_errors, instantiate, partial
from dlrun.config.schema import Config
from dlrun.config.weighting import loss_weights_by_output
from dlrun.data.input_spec import InputSpec
from dlrun.data.length import Length
from dlrun.data.tree import as_tree, leaf, tree_map
from dlrun.errors import DlrunError
from dlrun.losses.each_label import EachLabel, weigh_each_label
from dlrun.losses.sum_of_losses import SumOfLosses
from dlrun.metrics.by_class import ByClass
from dlrun.metrics.in_units import in_units
from dlrun.metrics.loss import LossTracker
from dlrun.metrics.one_hot import OneHotMetric
from dlrun.optimizers.exclusion import exclude_weights

log = logging.getLogger("dlrun")

METRICS = "_dlrun_metrics"  # a model's attribute
# What Keras does around an update, whichever library computes that.
AROUND_UPDATE = (
    *("clipnorm", "clipvalue", "global_clipnorm", "loss_scale_factor"),
    *("use_ema", "ema_momentum", "ema_overwrite_frequency", "gradient_accumulation_steps"),
)


def compile_model(
    model: keras.Model, config: Config, spec: InputSpec, *, length: Length | None
) -> list[str]:
    """Compile the model with its loss and metrics, and for training with its optimizer.

    Args:
        model: A built model.
        config: The run's config.
        spec: Its data set's inputs and labels.
        length: The length of training; None if the model is not trained.

    Returns:
        The names of the values that an epoch logs, without those of validation.

    Raises:
        DlrunError: If a part can't be made, or a metric can't take the outputs.
    """
    optimizer = None if length is None else _training_optimizer(model, config, length)
    parts = _parts(model, config, spec)
    metrics, weighted = parts.metrics, parts.weighted
    weights = loss_weights_by_output(config.task)
    tracker = LossTracker(list(parts.losses), [weights[name] for name in parts.losses])
    summed: Any = SumOfLosses(parts.losses, tracker, weights)
    # A list: else Keras would call it with each output alone.
    of_outputs: dict[str, Any] = (
        {"loss": summed, "metrics": metrics[None]}
        if None in metrics
        else {"loss": [summed], "metrics": metrics}
    )
    if any(weighted.values()):
        of_outputs["weighted_metrics"] = as_tree(weighted)
    model.compile(**({"optimizer": optimizer} if optimizer else {}), **of_outputs)
    # Not with setattr, which would also make it one of the model's own metrics.
    vars(model)["_loss_tracker"] = tracker
    vars(model)[METRICS] = [m for each in (metrics, weighted) for of in each.values() for m in of]
    if keras.backend.backend() == "numpy":
        _add_up_losses(model)
    capture_outputs(model, labels=data_may_change(config))
    if optimizer is not None:
        # Keras makes the slots in the first step; made here, every checkpoint has them.
        model.optimizer.build(model.trainable_variables)
        _warn_of_half_precision(model)
    return [*tracker.names, *parts.logged]


def compiled_metrics(model: keras.Model) -> list[keras.metrics.Metric]:
    """The metrics that a model was compiled with; Keras tells them only after the first batch."""
    return list(vars(model)[METRICS])


@dataclass
class _Parts:
    """What a model is compiled with, by output; the name of a single one is None.

    Args:
        losses: Those of the outputs that have one.
        metrics: Of all samples alike.
        weighted: Metrics that weigh the samples.
        logged: The names under which the metrics are logged.
    """

    losses: dict[str | None, Any] = field(default_factory=dict)
    metrics: dict[str | None, list[Any]] = field(default_factory=dict)
    weighted: dict[str | None, list[Any]] = field(default_factory=dict)
    logged: list[str] = field(default_factory=list)


def _parts(model: keras.Model, config: Config, spec: InputSpec) -> _Parts:
    """The losses and metrics of a config's task."""
    with component_errors("model", config.model["_target_"]):
        outputs = outputs_of(model, spec)
    shapes = tree_map(lambda output: tuple(output.shape)[1:], outputs)
    parts = _Parts()
    for name, output in task_outputs(config).items():
        suffix, prefix = (f".{name}", f"{name}_") if name else ("", "")
        labels = leaf(spec.labels, name)
        each_label = weighs_each_label(config, name, labels.shape)
        if output.loss is not None:
            loss = _loss(f"task.loss{suffix}", output.loss)
            parts.losses[name] = EachLabel(loss) if each_label else loss
        parts.metrics[name], parts.weighted[name] = [], []
        for metric_name, metric_spec in output.metrics.items():
            key = f"task.metrics{suffix}.{metric_name}"
            is_weighted = isinstance(metric_spec, Mapping) and bool(metric_spec.get("weighted"))
            metric = _metric(key, metric_name, metric_spec)
            if is_weighted and isinstance(metric, keras.metrics.IoU) and "int" in str(metric.dtype):
                # It would count samples in integers, in which a weight of 0.5 is 0.
                metric = _metric(key, metric_name, {**metric_spec, "dtype": "float32"})
            if (target := leaf(spec.targets, name) if spec.targets else None) and target.deviation:
                in_units(metric, target.mean, target.deviation)
            if is_weighted and each_label:
                _weigh_each_label(key, metric)
            # A mean is a number. Others may give a value for each class, which Keras can't log.
            if not isinstance(metric, keras.metrics.Mean):
                metric = ByClass(metric, name)
            (parts.weighted if is_weighted else parts.metrics)[name].append(metric)
            if data_may_change(config):  # a step of the user's own gives the metrics other labels
                names = [metric_name]
            else:
                names = logged_by(key, metric, labels, leaf(shapes, name), weighted=is_weighted)
            parts.logged += [prefix + n if n == metric_name else n for n in names]
    return parts


def _training_optimizer(
    model: keras.Model, config: Config, length: Length
) -> keras.optimizers.Optimizer:
    """The optimizer with its schedule, in the form that the backend trains with."""
    backend = backends.training_module(keras.backend.backend())
    optimizer = backend.adapt_optimizer(_optimizer(config.optimizer))
    set_schedule(optimizer, config, length)
    exclude_weights(optimizer, config.optimizer, model.trainable_variables)
    return optimizer


def _warn_of_half_precision(model: keras.Model) -> None:
    """Warn of weights that a layer's own dtype keeps in half precision."""
    half = [v for v in model.trainable_variables if v.dtype in ("bfloat16", "float16")]
    if half:
        more = f" and {len(half) - 1} more" if len(half) > 1 else ""
        log.warning(
            "weights in %s (%s%s) lose small updates: give their layer dtype=mixed_%s",
            *(half[0].dtype, half[0].path, more, half[0].dtype),
        )


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
    spec = without_kept("optimizer", spec)
    package = target.partition(".")[0]
    needs = {"torch": "torch", "optax": "jax"}.get(package, backend)
    if needs != backend:
        raise DlrunError(
            f"optimizer: {target} needs backend '{needs}', but this is '{backend}'",
            hint=f"backend={needs}, or choose a Keras optimizer",
        )
    if package not in ("torch", "optax"):
        return instantiate("optimizer", spec)
    around = {name: spec.pop(name) for name in AROUND_UPDATE if name in spec}
    if around:  # so that what Keras refuses of them is not told of another library
        with component_errors("optimizer", "keras.optimizers.Optimizer"):
            keras.optimizers.Optimizer(learning_rate=0.0, **around)
    with component_errors("optimizer", target):
        if package == "torch":
            from dlrun.optimizers.torch_optim import TorchOptim

            return TorchOptim(partial("optimizer", spec), **around)
        from dlrun.optimizers.optax import Optax

        return Optax(partial("optimizer", spec), spec.get("learning_rate"), **around)


def _loss(key: str, spec: Any) -> Any:
    if isinstance(spec, Mapping):
        return instantiate(key, spec)
    try:
        return keras.losses.get(spec)
    except ValueError as error:
        raise DlrunError(
            f"{key}={spec}: Keras has no such loss", hint="use a name such as mse, or a _target_"
        ) from error


def _weigh_each_label(key: str, metric: keras.metrics.Metric) -> None:
    """Let a metric take a weight for each label of a sample.

    Raises:
        DlrunError: If it is not a mean over labels.
    """
    inner = metric.metric if isinstance(metric, OneHotMetric) else metric
    is_mean = isinstance(inner, keras.metrics.MeanMetricWrapper)
    if not is_mean or label_format(f"keras.metrics.{type(inner).__name__}") != "elementwise":
        raise DlrunError(
            f"{key}: task.class_weight weighs each label of a sample, and only a mean over labels"
            " can be weighted so",
            hint=f"{key}.weighted=false, or choose metrics=binary_accuracy",
        )
    if inner is metric:
        weigh_each_label(metric)


def _metric(key: str, name: str, spec: Any) -> keras.metrics.Metric:
    # Logs use the name in the config, not Keras' name for the metric.
    if isinstance(spec, Mapping):
        return instantiate(key, without_kept("metrics", spec), name=name)
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
