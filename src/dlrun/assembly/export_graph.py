"""What every exported file computes: from inputs by name to predictions by name.

Import it after the backend has started.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from dlrun.assembly.input_uses import find_uses
from dlrun.assembly.model import outputs_of, with_activation
from dlrun.config.outputs import outputs_by_name
from dlrun.config.schema import Config
from dlrun.data.input_spec import InputSpec
from dlrun.data.tree import leaf, leaves_by_name
from dlrun.exports.content import INPUT, OUTPUT, Content, FileInput


def export_graph(model: keras.Model, config: Config, content: Content) -> keras.Model:
    """The model from samples as a file takes them to predictions, with standard layers alone.

    Args:
        model: Its outputs are logits, or numbers.
        config: The run's.
        content: Names the inputs and outputs, and says what is done to the inputs.

    Returns:
        A Functional model. Inputs and outputs are mappings where the run's are.
    """
    spec = content.spec
    predictor = with_activation(model, config, spec)
    inputs = {
        one.name: keras.Input(one.shape, name=one.name, dtype=one.dtype) for one in content.inputs
    }
    prepared = {one.name: _prepare(one, inputs[one.name]) for one in content.inputs}
    if isinstance(spec.inputs, Mapping):
        outputs = predictor(prepared)
        return keras.Model(inputs, outputs, name=f"{model.name}_export")
    [[single], [ready]] = inputs.values(), prepared.values()
    return keras.Model(single, predictor(ready), name=f"{model.name}_export")


def _prepare(one: FileInput, tensor: Any) -> Any:
    if one.statistics is not None:
        mean = np.reshape(one.statistics.mean, one.shape)
        variance = np.reshape(np.square(one.statistics.deviation), one.shape)
        axes = tuple(range(1, len(one.shape) + 1))
        layer = keras.layers.Normalization(axes, mean=mean, variance=variance, dtype="float32")
        return layer(tensor)
    if not one.is_integer or one.scale is None:
        return tensor
    return keras.layers.Rescaling(1 / one.scale, dtype="float32")(tensor)


def describe_outputs(
    model: keras.Model, config: Config, spec: InputSpec
) -> tuple[dict[str, Any], ...]:
    """What the outputs are, in order: name, shape of a sample, activation, names of classes."""
    task_outputs = outputs_by_name(config.task)
    described = []
    outputs = outputs_of(model, spec)
    for name in leaves_by_name(spec.num_classes):
        task: Any = config.task if task_outputs is None else task_outputs[str(name)]
        target = leaf(spec.targets, name) if spec.targets else None
        shape = tuple(leaf(outputs, name).shape)[1:]
        entry = {"name": name or OUTPUT, "shape": list(shape), "activation": task.activation}
        if target is not None:
            entry |= {"kind": target.kind, "columns": list(target.columns)}
            entry["classes"] = list(target.classes)
        described.append(entry)
    return tuple(described)


def limits_of_ids(model: keras.Model, spec: InputSpec) -> dict[str, int]:
    """For each input whose values reach an Embedding, the number that they have to be below."""
    limits: dict[str, int] = {}
    for use in find_uses(model, spec):
        if isinstance(use.layer, keras.layers.Embedding):
            name = use.name or INPUT
            limits[name] = min(use.layer.input_dim, limits.get(name, use.layer.input_dim))
    # Columns of categories have vocabularies of their own; the largest bounds them all.
    for sized, sizes in spec.sizes.items():
        if (title := sized or INPUT) in limits:
            limits[title] = max(sizes)
    return limits
