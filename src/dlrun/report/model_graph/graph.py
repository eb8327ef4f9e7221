"""A model as boxes and arrows: its calls, their inputs and their shapes."""

from dataclasses import dataclass
from typing import Any

Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class Box:
    """One call of a layer, an operation or a nested model.

    Args:
        name: The layer's name.
        type: The layer's class.
        inputs: The shape of each input tensor; the batch axis is None.
        outputs: The shape of each output tensor.
        role: ``input``, ``output``, ``model`` for a nested model, or ``layer``.
    """

    name: str
    type: str
    inputs: tuple[Shape, ...]
    outputs: tuple[Shape, ...]
    role: str = "layer"

    @property
    def rows(self) -> list[tuple[str, Shape]]:
        """Its shapes, one a line, labelled ``in`` and ``out`` where these begin."""
        if self.role == "input":
            return [("", shape) for shape in self.outputs]
        return [
            ("" if index else label, shape)
            for label, shapes in (("in", self.inputs), ("out", self.outputs))
            for index, shape in enumerate(shapes)
        ]


@dataclass(frozen=True)
class Graph:
    """Boxes in topological order, and arrows as pairs of box numbers."""

    boxes: list[Box]
    arrows: list[tuple[int, int]]


def graph_of(model: Any) -> Graph | None:
    """The graph of a Functional or Sequential model; None for a subclassed model."""
    outputs = getattr(model, "outputs", None)
    if not outputs:
        return None
    numbers: dict[tuple[Any, int], int] = {}
    pending = [_call(tensor) for tensor in reversed(outputs)]
    while pending:  # no recursion: a model may be deeper than Python's stack
        call = pending[-1]
        unvisited = [c for c in _calls_before(call) if c not in numbers]
        if unvisited:
            pending.append(unvisited[0])
        else:
            numbers.setdefault(pending.pop(), len(numbers))
    operations = [operation for operation, _ in numbers]
    last = {_call(tensor) for tensor in outputs}
    boxes = [
        _box(call, shared=operations.count(call[0]) > 1, last=call in last) for call in numbers
    ]
    arrows = [(numbers[b], numbers[call]) for call in numbers for b in _calls_before(call)]
    return Graph(boxes, list(dict.fromkeys(arrows)))


def _call(tensor: Any) -> tuple[Any, int]:
    # Keras' public layer.output knows only the first call of a layer, and not the call's graph.
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
