"""Describe a model's layers, so that a checkpoint can detect a changed model.

Shapes alone do not reveal a changed activation, a changed stride or a removed layer without
weights: a checkpoint would load into such a model without an error.
"""

from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

import keras

from dlrun.losses.loss_scale import inner_optimizer
from dlrun.system.equality import is_same
from dlrun.system.imports import without_packages

# Settings that do not change what a layer computes. Names depend on the process's earlier layers.
IGNORED = ("name", "trainable", "dtype", "seed", "quantization_config")
IGNORED_SUFFIXES = ("_initializer", "_regularizer", "_constraint")

Description = Sequence[Mapping[str, Any]]


def describe(model: Any, optimizer: Any = None) -> list[dict[str, Any]]:
    """The layers of a model in a fixed order, the same on every backend, in JSON types.

    For a Functional model it includes operations such as ``keras.ops.add``. The ``call`` of a
    subclassed model or layer is code, which it can't describe.

    Args:
        model: A built model. Nesting is not described: layers of inner models are listed flat.
        optimizer: Described by its class; None if no run will resume from the checkpoint.

    Returns:
        Each layer's name, class and config; the optimizer's class last.
    """
    # Keras would import TensorFlow, which takes seconds, to serialize a layer's dtype.
    with without_packages(["tensorflow"]):
        layers = [
            {"name": _name(layer), "class": type(layer).__name__, "config": _config(layer)}
            for layer in parts(model)
            if not isinstance(layer, keras.Model)
        ]
    return layers if optimizer is None else [*layers, {"optimizer": _optimizer_class(optimizer)}]


def differences(model: Description, checkpoint: Description) -> list[str]:
    """The differences between two descriptions, in words.

    Names are not compared, nor are settings that only one description has, as they may come from
    another version of Keras.

    Args:
        model: The description of the model.
        checkpoint: The description in the checkpoint.
    """
    a, b = ([layer for layer in layers if "class" in layer] for layers in (model, checkpoint))
    matcher = SequenceMatcher(
        None, [layer["class"] for layer in a], [layer["class"] for layer in b], autojunk=False
    )
    messages = []
    for tag, *(a_from, a_to, b_from, b_to) in matcher.get_opcodes():
        if tag == "equal":
            for layer, saved in zip(a[a_from:a_to], b[b_from:b_to], strict=True):
                messages += _changed_settings(layer, saved)
        else:
            had, has = _format_layers(b[b_from:b_to]), _format_layers(a[a_from:a_to])
            messages.append(f"the model has {has} where the checkpoint has {had}")
    optimizers = [
        last["optimizer"]
        for description in (model, checkpoint)
        for last in description[-1:]
        if "optimizer" in last
    ]
    if len({*optimizers}) > 1:
        messages.append("the optimizer is {}, the checkpoint's {}".format(*optimizers))
    return messages


def parts(model: Any) -> Iterator[Any]:
    """Everything that computes inside a model, each object once, in the order of its creation.

    Includes inner models and their layers, and operations such as ``keras.ops.add``.
    """
    yield from _walk(model, set())


def _walk(parent: Any, seen: set[int]) -> Iterator[Any]:
    children = getattr(parent, "operations", None) if isinstance(parent, keras.Model) else None
    if children is None and isinstance(parent, keras.Layer):
        children = parent._flatten_layers(include_self=False, recursive=False)
    for child in children or ():
        if id(child) in seen or isinstance(child, keras.layers.InputLayer):
            continue
        seen.add(id(child))
        yield child
        yield from _walk(child, seen)


def _name(layer: Any) -> str:
    return str(getattr(layer, "path", None) or layer.name)


def _config(layer: Any) -> dict[str, Any]:
    try:
        # A native network has no config that Keras could save.
        describe = getattr(layer, "describe_architecture", layer.get_config)
        config = dict(describe())
    except Exception:  # a user's layer may have no config
        config = {}
    if callable(activation := getattr(layer, "activation", None)):
        config["activation"] = getattr(activation, "__name__", type(activation).__name__)
    return {
        key: _to_json(value)
        for key, value in config.items()
        if key not in IGNORED and not key.endswith(IGNORED_SUFFIXES)
    }


def _to_json(value: Any) -> Any:
    """The value itself if JSON can hold it, else the name of its class."""
    if isinstance(value, list | tuple):
        return [_to_json(element) for element in value]
    if isinstance(value, Mapping):  # an object serialized by Keras
        return str(value.get("class_name"))
    return value if isinstance(value, bool | int | float | str | None) else type(value).__name__


def _optimizer_class(optimizer: Any) -> str:
    """The name of its Keras class: FusedAdam and an Adam with a scaled loss are both Adam."""
    classes = type(inner_optimizer(optimizer)).__mro__
    keras_class = next(c.__name__ for c in classes if c.__module__.startswith("keras."))
    return classes[0].__name__ if keras_class == "Optimizer" else keras_class


def _changed_settings(layer: Mapping[str, Any], saved: Mapping[str, Any]) -> list[str]:
    return [
        f"{layer['name']} has {key}={value}, the checkpoint {saved['config'][key]}"
        for key, value in layer["config"].items()
        if key in saved["config"] and not is_same(value, saved["config"][key])
    ]


def _format_layers(layers: Description) -> str:
    return ", ".join(f"{layer['class']} ({layer['name']})" for layer in layers) or "nothing"
