"""From a config to Keras objects: model, loss, metrics, optimizer, callbacks.

Imported once the backend is started.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from dlrun.config.instantiate import blamed_on, fill, instantiate
from dlrun.config.schema import Config
from dlrun.data.dataset import Dataset
from dlrun.errors import DlrunError


def build_model(config: Config, data: Dataset) -> keras.Model:
    """Build the model, its variables included, for a data set's shapes.

    Raises:
        DlrunError: If the target returns no ``keras.Model``, or does not take these shapes.
    """
    model = instantiate(
        "model", config.model, input_shape=data.input_shape, num_classes=data.num_classes
    )
    if not isinstance(model, keras.Model):
        raise DlrunError(f"model: {config.model['_target_']} returned {type(model).__name__}")
    if not model.built:
        # A subclassed model makes its variables when it is first called.
        with blamed_on("model", config.model["_target_"]):
            model(np.zeros((1, *data.input_shape), "float32"))
    return model


def compile_model(model: keras.Model, config: Config, *, training: bool) -> None:
    """Give the model its loss and metrics, and for training its optimizer."""
    optimizer = instantiate("optimizer", config.optimizer) if training else None
    model.compile(
        **({"optimizer": optimizer} if optimizer else {}),
        loss=_loss(config.task.loss),
        metrics=[_metric(name, spec) for name, spec in config.task.metrics.items()],
    )
    if optimizer is not None:
        # Slots exist from the first step on; made here, a checkpoint always has them.
        model.optimizer.build(model.trainable_variables)


def build_callbacks(config: Config, run_dir: Path) -> dict[str, keras.callbacks.Callback]:
    """Build the callbacks by name, in the config's order."""
    return {
        name: instantiate(f"callbacks.{name}", fill(spec, run_dir=str(run_dir)))
        for name, spec in config.callbacks.items()
    }


def with_activation(model: keras.Model, config: Config, data: Dataset) -> keras.Model:
    """The model with the task's activation after its logits, for prediction and export."""
    if config.task.activation is None:
        return model
    return keras.Sequential(
        [
            keras.Input(data.input_shape),
            model,
            keras.layers.Activation(config.task.activation, dtype="float32", name="activation"),
        ],
        name=f"{model.name}_{config.task.activation}",
    )


def _loss(spec: Any) -> Any:
    if isinstance(spec, Mapping):
        return instantiate("task.loss", spec)
    try:
        return keras.losses.get(spec)
    except ValueError as error:
        raise DlrunError(
            f"task.loss={spec}: Keras has no such loss", hint="a name such as mse, or a _target_"
        ) from error


def _metric(name: str, spec: Any) -> Any:
    # The name in the config is the name in every log, whatever Keras would call the metric.
    if isinstance(spec, Mapping):
        return instantiate(f"task.metrics.{name}", spec, name=name)
    try:
        return keras.metrics.MeanMetricWrapper(keras.metrics.get(spec), name=name)
    except (ValueError, TypeError) as error:
        raise DlrunError(
            f"task.metrics.{name}={spec}: Keras has no such metric function",
            hint="a name such as mae, or a _target_",
        ) from error
