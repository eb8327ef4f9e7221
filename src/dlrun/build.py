"""From a config to Keras objects: model, loss, metrics, optimizer, callbacks.

Imported once the backend is started.
"""

import functools
from collections.abc import Callable, Mapping
from inspect import signature
from pathlib import Path
from typing import Any

import keras
import numpy as np

from dlrun.checkpoint import START, Position
from dlrun.config.instantiate import blamed_on, fill, instantiate, partial
from dlrun.config.outputs import by_output
from dlrun.config.schema import Config
from dlrun.data.dataset import Dataset
from dlrun.data.tree import tree_map
from dlrun.errors import DlrunError
from dlrun.feeds import Feed
from dlrun.losses.sum_of_losses import SumOfLosses
from dlrun.metrics.loss import LossMetric
from dlrun.pairing import check_outputs


def build_model(config: Config, data: Dataset) -> keras.Model:
    """Build the model, its variables included, for a data set's shapes.

    Raises:
        DlrunError: If the target returns no ``keras.Model``, or does not take these shapes, or if
            model, labels and task do not fit together.
    """
    target = config.model["_target_"]
    given = {"input_shape": data.input_shape, "num_classes": data.num_classes}
    try:
        model = instantiate("model", config.model, **given)
        if not isinstance(model, keras.Model):
            raise DlrunError(f"model: {target} returned {type(model).__name__}")
        with blamed_on("model", target):
            outputs = _outputs(model, data)
    except DlrunError as error:
        shapes = ", ".join(f"{name}={value}" for name, value in given.items())
        error.hint = error.hint or f"data={config.choices.get('data')} gives it {shapes}"
        raise
    check_outputs(config, data, outputs)
    return model


def _outputs(model: keras.Model, data: Dataset) -> Any:
    """What the model returns, in shape; a subclassed model makes its variables here."""
    if model.built:
        return model.compute_output_spec(
            tree_map(lambda shape: keras.KerasTensor((None, *shape), "float32"), data.input_shape)
        )
    return model(tree_map(lambda shape: np.zeros((1, *shape), "float32"), data.input_shape))


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


def build_callbacks(config: Config, run_dir: Path) -> dict[str, keras.callbacks.Callback]:
    """Build the callbacks by name, in the config's order."""
    return {
        name: instantiate(f"callbacks.{name}", fill(spec, run_dir=str(run_dir)))
        for name, spec in config.callbacks.items()
    }


def build_loop(config: Config, feed: Feed, at: Position = START) -> Callable[..., Any]:
    """The loop, with what it takes beyond the rest: a feed, and where to begin.

    One that takes no feed gathers the batches itself.

    Args:
        config: For its loop.
        feed: From batches to a source for ``fit()``.
        at: How far a resumed run has come.

    Raises:
        DlrunError: If the loop can't begin there.
    """
    loop = partial("loop", config.loop)
    takes = signature(loop).parameters
    every = any(taken.kind == taken.VAR_KEYWORD for taken in takes.values())
    given: dict[str, Any] = {"feed": feed} if every or "feed" in takes else {}
    for name, value in (("initial_epoch", at.epochs), ("initial_step", at.steps)):
        if value and not every and name not in takes:
            raise DlrunError(
                f"loop: {config.loop['_target_']} takes no {name}, so it can't be resumed at {at}",
                hint="give it that argument, as dlrun.loops.fit.fit has it",
            )
        given |= {name: value} if value else {}
    return functools.partial(loop, **given)


def with_activation(model: keras.Model, config: Config, data: Dataset) -> keras.Model:
    """The model with the task's activation after its logits, for prediction and export."""
    parts = by_output(config.task)
    activations: dict[str, str | None] = (
        {"": config.task.activation}
        if parts is None
        else {name: part.activation for name, part in parts.items()}
    )
    if not any(activations.values()):
        return model
    shape = data.input_shape
    inputs = (
        {name: keras.Input(one, name=name) for name, one in shape.items()}
        if isinstance(shape, Mapping)
        else keras.Input(shape)
    )
    outputs = model(inputs)
    predictions = (
        {name: _activated(one, activations.get(name)) for name, one in outputs.items()}
        if isinstance(outputs, Mapping)
        else _activated(outputs, activations[""])
    )
    return keras.Model(inputs, predictions, name=f"{model.name}_predictions")


def _activated(output: Any, activation: str | None) -> Any:
    if activation is None:
        return output
    return keras.layers.Activation(activation, dtype="float32")(output)


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
    with blamed_on("optimizer", target):
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
