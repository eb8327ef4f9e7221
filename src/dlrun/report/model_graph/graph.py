"""A model as boxes and arrows: what is called, on what, in which shapes."""

from dataclasses import dataclass
from typing import Any

Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class Box:
    """One call of a layer, of an operation or of a nested model.

    Args:
        name: The layer's.
        type: Its class.
        inputs: The shape of each tensor that it takes; the batch's axis is None.
        outputs: The shape of each tensor that it returns.
        role: ``input``, ``output``, ``model`` for a nested one, or ``layer``.
    """

    name: str
    type: str
    inputs: tuple[Shape, ...]
    outputs: tuple[Shape, ...]
    role: str = "layer"


@dataclass(frozen=True)
class Graph:
    """Boxes, each after those that it depends on, and arrows as pairs of their numbers."""

    boxes: list[Box]
    arrows: list[tuple[int, int]]


def graph_of(model: Any) -> Graph | None:
    """The graph of a Functional or Sequential model; None where a model's calls are code."""
    outputs = getattr(model, "outputs", None)
    if not outputs:
        return None
    numbers: dict[tuple[Any, int], int] = {}
    waiting = [_call(tensor) for tensor in reversed(outputs)]
    while waiting:  # not by recursion: models are deeper than Python's stack
        call = waiting[-1]
        before = [c for c in _calls_before(call) if c not in numbers]
        if before:
            waiting.append(before[0])
        else:
            numbers.setdefault(waiting.pop(), len(numbers))
    operations = [operation for operation, _ in numbers]
    last = {_call(tensor) for tensor in outputs}
    boxes = [
        _box(call, shared=operations.count(call[0]) > 1, last=call in last) for call in numbers
    ]
    arrows = [(numbers[b], numbers[call]) for call in numbers for b in _calls_before(call)]
    return Graph(boxes, list(dict.fromkeys(arrows)))


def _call(tensor: Any) -> tuple[Any, int]:
    # Keras' public layer.output knows the first call of a layer only, and not the graph that a
    # call belongs to.
    history = tensor._keras_history
    return history.operation, history.node_index


def _node(call: tuple[Any, int]) -> Any:
    operation, index = call
    return operation._inbound_nodes[index]


def _calls_before(call: tuple[Any, int]) -> list[tuple[Any, int]]:
    return [_call(tensor) for tensor in _node(call).input_tensors]


def _box(call: tuple[Any, int], *, shared: bool, last: bool) -> Box:
    operation, node = call[0], _node(call)
    kind = type(operation).__name__
    role = "output" if last else "model" if hasattr(operation, "layers") else "layer"
    return Box(
        name=operation.name,
        type=f"{kind}, shared" if shared else kind,
        inputs=tuple(tuple(tensor.shape) for tensor in node.input_tensors),
        outputs=tuple(tuple(tensor.shape) for tensor in node.output_tensors),
        role=role if node.input_tensors else "input",
    )
