"""From a config to Keras objects: model, loss, metrics, optimizer, callbacks.

Imported once the backend is started.
"""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from dlrun.assembly.check_outputs import check_outputs
from dlrun.config.instantiate import component_errors, instantiate
from dlrun.config.outputs import by_output
from dlrun.config.schema import Config
from dlrun.data.input_spec import InputSpec
from dlrun.data.tree import tree_map
from dlrun.errors import DlrunError


def build_model(config: Config, spec: InputSpec) -> keras.Model:
    """Build the model, its variables included, for a data set's shapes.

    Args:
        config: For its model and task.
        spec: For the shapes and classes that the model is given.

    Raises:
        DlrunError: If the target returns no ``keras.Model``, or does not take these shapes, or if
            model, labels and task do not fit together.
    """
    target = config.model["_target_"]
    given = {"input_shape": spec.input_shape, "num_classes": spec.num_classes}
    try:
        model = instantiate("model", config.model, **given)
        if not isinstance(model, keras.Model):
            raise DlrunError(f"model: {target} returned {type(model).__name__}")
        with component_errors("model", target):
            outputs = _outputs(model, spec)
    except DlrunError as error:
        shapes = ", ".join(f"{name}={value}" for name, value in given.items())
        error.hint = error.hint or f"data={config.choices.get('data')} gives it {shapes}"
        raise
    check_outputs(config, spec, outputs)
    return model


def _outputs(model: keras.Model, spec: InputSpec) -> Any:
    """What the model returns, in shape; a subclassed model makes its variables here."""
    if model.built:
        return model.compute_output_spec(
            tree_map(lambda shape: keras.KerasTensor((None, *shape), "float32"), spec.input_shape)
        )
    return model(tree_map(lambda shape: np.zeros((1, *shape), "float32"), spec.input_shape))


def with_activation(model: keras.Model, config: Config, spec: InputSpec) -> keras.Model:
    """The model with the task's activation after its logits, for prediction and export."""
    parts = by_output(config.task)
    activations: dict[str, str | None] = (
        {"": config.task.activation}
        if parts is None
        else {name: part.activation for name, part in parts.items()}
    )
    if not any(activations.values()):
        return model
    shape = spec.input_shape
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
