"""A model's layers: shapes and parameters, as ``dlrun summary`` shows and a run records them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from dlrun.report.model_graph.graph import graph_of


def record_of(model: Any) -> dict[str, Any]:
    """What a run keeps of its model, for its page.

    Nothing of the user's own code is called: a shape that only it can tell is None.

    Returns:
        The model's ``name``, ``layers`` and numbers of parameters; ``graph`` with ``boxes`` and
        ``arrows``, None for a subclassed model.
    """
    graph = graph_of(model)
    return {
        "name": model.name,
        "layers": layers_of(model, _symbolic_shape),
        **parameters_of(model),
        "graph": None if graph is None else asdict(graph),
    }


def layers_of(model: Any, shape_of: Callable[[Any], Any] | None = None) -> list[dict[str, Any]]:
    """Each layer's ``name``, ``type``, ``output_shape``, ``parameters`` and ``trainable``.

    Args:
        model: A built model.
        shape_of: Tells the output's shape of a layer; None for one that may call the layer.
    """
    shape_of = shape_of or _output_shape
    return [
        {
            "name": layer.name,
            "type": type(layer).__name__,
            "output_shape": shape_of(layer),
            "parameters": _size(layer.weights),
            "trainable": layer.trainable,
        }
        for layer in model.layers
    ]


def parameters_of(model: Any) -> dict[str, int]:
    """The number of ``parameters``, of ``trainable_`` and of ``non_trainable_`` ones."""
    counts = {"": model.weights, "trainable_": model.trainable_weights}
    counts |= {"non_trainable_": model.non_trainable_weights}
    return {f"{kind}parameters": _size(weights) for kind, weights in counts.items()}


def _size(weights: Sequence[Any]) -> int:
    return sum(math.prod(weight.shape) for weight in weights)


def _symbolic_shape(layer: Any) -> Any:
    is_own = not type(layer).__module__.startswith("keras.")
    if is_own and not getattr(layer, "_inbound_nodes", None):
        return None
    return _output_shape(layer)


def _output_shape(layer: Any) -> Any:
    """A shape, or shapes in the structure of several outputs; None if unknown."""
    try:
        return _shapes(layer.output)
    except AttributeError:  # a layer of a subclassed model has no symbolic output
        pass
    built = layer.get_build_config() or {}
    try:
        shapes = built.get("shapes_dict") or {"input_shape": built["input_shape"]}
        return _shapes(layer.compute_output_shape(**shapes))
    except (KeyError, TypeError, ValueError, NotImplementedError):
        return None


def _shapes(outputs: Any) -> Any:
    if isinstance(outputs, Mapping):
        return {name: _shapes(output) for name, output in outputs.items()}
    if hasattr(outputs, "shape"):
        return list(outputs.shape)
    if all(isinstance(size, int | None) for size in outputs):
        return list(outputs)
    return [_shapes(output) for output in outputs]
