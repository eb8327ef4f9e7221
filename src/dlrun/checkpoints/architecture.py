"""What a model computes besides its variables, in a form that a checkpoint can hold.

Shapes alone do not tell another activation, another stride, or a layer without weights that is
gone: a checkpoint would load into such a model in silence.
"""

from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

import keras

from dlrun.system.imports import without_packages

# How a layer begins or is stored, and not what it computes; names are numbered by what a process
# made before.
LEFT_OUT = ("name", "trainable", "dtype", "seed", "quantization_config")
LEFT_OUT_ENDS = ("_initializer", "_regularizer", "_constraint")

Description = Sequence[Mapping[str, Any]]


def describe(model: Any, optimizer: Any = None) -> list[dict[str, Any]]:
    """The layers of a model in a fixed order, the same on every backend; JSON can hold it.

    Of a Functional model it tells operations such as ``keras.ops.add`` as well. What a subclassed
    model or layer does in its ``call`` is code, and stays unknown.

    Args:
        model: Built. In which models inside of it the layers stand is no part of the description.
        optimizer: Told by its class, where one is to go on from the checkpoint.

    Returns:
        Each layer's name, class and its config; the optimizer's class last.
    """
    with without_packages(
        ["tensorflow"]
    ):  # which Keras imports, in seconds, to write a layer's dtype down
        found = [
            {"name": _name(layer), "class": type(layer).__name__, "config": _config(layer)}
            for layer in parts(model)
            if not isinstance(layer, keras.Model)
        ]
    return found if optimizer is None else [*found, {"optimizer": _optimizer_class(optimizer)}]


def differences(ours: Description, theirs: Description) -> list[str]:
    """What differs between two descriptions, in words.

    Names do not count, nor does what only one of them tells, as of another version of Keras.

    Args:
        ours: Of the model.
        theirs: Of the one that a checkpoint was made from.
    """
    a, b = ([part for part in told if "class" in part] for told in (ours, theirs))
    matcher = SequenceMatcher(
        None, [part["class"] for part in a], [part["class"] for part in b], autojunk=False
    )
    found = []
    for tag, *(a_from, a_to, b_from, b_to) in matcher.get_opcodes():
        if tag == "equal":
            for one, other in zip(a[a_from:a_to], b[b_from:b_to], strict=True):
                found += _settings(one, other)
        else:
            had, has = _listed(b[b_from:b_to]), _listed(a[a_from:a_to])
            found.append(f"the model has {has} where the checkpoint has {had}")
    optimizers = [
        part["optimizer"] for told in (ours, theirs) for part in told[-1:] if "optimizer" in part
    ]
    if len({*optimizers}) > 1:
        found.append("the optimizer is {}, the checkpoint's {}".format(*optimizers))
    return found


def parts(model: Any) -> Iterator[Any]:
    """All that computes inside a model, each once, in the order in which it was put there.

    Models inside of it, with their own layers, and operations such as ``keras.ops.add`` as well.
    """
    yield from _inside(model, set())


def _inside(part: Any, seen: set[int]) -> Iterator[Any]:
    inside = getattr(part, "operations", None) if isinstance(part, keras.Model) else None
    if inside is None and isinstance(part, keras.Layer):
        inside = part._flatten_layers(include_self=False, recursive=False)
    for inner in inside or ():
        if id(inner) in seen or isinstance(inner, keras.layers.InputLayer):
            continue
        seen.add(id(inner))
        yield inner
        yield from _inside(inner, seen)


def _name(layer: Any) -> str:
    return str(getattr(layer, "path", None) or layer.name)


def _config(layer: Any) -> dict[str, Any]:
    try:
        config = dict(layer.get_config())
    except Exception:  # one's own layer need not have any
        config = {}
    if callable(activation := getattr(layer, "activation", None)):
        config["activation"] = getattr(activation, "__name__", type(activation).__name__)
    return {key: _plain(value) for key, value in config.items() if not _left_out(key)}


def _left_out(key: str) -> bool:
    return key in LEFT_OUT or key.endswith(LEFT_OUT_ENDS)


def _plain(value: Any) -> Any:
    """What JSON holds as it is, and of all else the class."""
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, Mapping):  # Keras' form of an object
        return str(value.get("class_name"))
    return value if isinstance(value, bool | int | float | str | None) else type(value).__name__


def _optimizer_class(optimizer: Any) -> str:
    """Keras' name for it: torch's fused kernel is Adam, and so is what scales its loss."""
    classes = type(getattr(optimizer, "inner_optimizer", optimizer)).__mro__
    of_keras = next(c.__name__ for c in classes if c.__module__.startswith("keras."))
    return classes[0].__name__ if of_keras == "Optimizer" else of_keras


def _settings(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    return [
        f"{ours['name']} has {key}={value}, the checkpoint {theirs['config'][key]}"
        for key, value in ours["config"].items()
        if key in theirs["config"] and value != theirs["config"][key]
    ]


def _listed(parts: Description) -> str:
    return ", ".join(f"{part['class']} ({part['name']})" for part in parts) or "nothing"
