"""The model of a run: its layers, parameters and graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dlrun.report.model_graph.graph import Box, Graph
from dlrun.report.page import formats
from dlrun.report.page.charts.bars import bar
from dlrun.report.page.charts.graph import MOST_BOXES, draw_graph
from dlrun.report.page.markup import Content, join
from dlrun.report.page.parts import Cell, Section, details, facts, note, number_cell, table
from dlrun.report.page.reading import finite, list_at, mapping_at, number_at, text_at
from dlrun.report.page.run_view import RunView

MOST_LAYERS = 600
MOST_AXES, MOST_TENSORS = 12, 12  # of a call, in a file that may come from anyone
MOST_LENGTH = 4000  # of all arrows together, in boxes
OPEN = 14  # a graph of so many boxes is shown at once
ROLES = ("input", "output", "model", "layer")


def model(run: RunView) -> Section:
    """The layers with their shapes and parameters, and the graph."""
    record, described = run.record, run.model
    layers = [layer for layer in list_at(described, "layers") if isinstance(layer, Mapping)]
    total = number_at(described, "parameters") or number_at(record, "parameters")
    parts: list[Content] = [
        facts(
            [
                ("model", text_at(described, "name") or text_at(record, "model")),
                ("parameters", formats.number(total)),
                ("trainable", formats.number(number_at(described, "trainable_parameters"))),
                ("not trainable", formats.number(number_at(described, "non_trainable_parameters"))),
                ("sample", formats.shape(record.get("input_shape"))),
            ]
        )
    ]
    graph = _graph(mapping_at(described, "graph"))
    if layers:
        parts.append(_layers(layers, total, graph))
    else:
        parts.append(note("The run has neither a model.json nor a checkpoint with its layers."))
    if graph is None and layers:
        is_old = "graph" not in described
        parts.append(
            note(
                "The run was trained by a version of dlrun that kept no graph."
                if is_old
                else "It is a subclassed model, whose graph is code."
            )
        )
    elif graph is not None and not _is_drawable(graph):
        parts.append(
            note(
                f"The graph has {len(graph.boxes)} boxes, too many to draw here: "
                "dlrun summary --plot model.svg draws it."
            )
        )
    elif graph is not None:
        title = f"Graph of {formats.cut(text_at(described, 'name') or run.name, 80)}"
        parts.append(details("Graph", draw_graph(graph, title), is_open=len(graph.boxes) <= OPEN))
    return Section("model", "Model", join(parts))


def _layers(
    layers: Sequence[Mapping[str, Any]], total: float | None, graph: Graph | None
) -> Content:
    takes = _takes(graph) if graph else {}
    has_sizes = any("parameters" in layer for layer in layers)
    head = ["layer", "type"]
    head += ["output shape", "parameters", "share"] if has_sizes else []
    head += ["takes"] if takes else []
    rows = []
    for layer in layers[:MOST_LAYERS]:
        name, count = text_at(layer, "name"), number_at(layer, "parameters")
        kind = text_at(layer, "type")
        if layer.get("trainable") is False and count:
            kind += ", frozen"
        row: list[Content | Cell] = [formats.cut(name, 80), formats.cut(kind, 80)]
        if has_sizes:
            share = count / total if count is not None and total else None
            row += [
                formats.shape(layer.get("output_shape")),
                number_cell(count, formats.number(count)),
                bar(share),
            ]
        rows.append([*row, *([takes.get(name, "")] if takes else [])])
    whole = table("Layers, in the model's order", head, rows, class_="compact")
    left_out = len(layers) - MOST_LAYERS
    more = note(f"{left_out} more layers are in model.json.") if left_out > 0 else None
    if len(layers) > 2 * OPEN:
        return join([details(f"All {len(layers)} layers", whole), more])
    return join([whole, more])


def _takes(graph: Graph) -> dict[str, str]:
    """For each layer, the names of those whose output it takes."""
    before: dict[str, list[str]] = {}
    for start, end in graph.arrows:
        names = before.setdefault(graph.boxes[end].name, [])
        if graph.boxes[start].name not in names:
            names.append(graph.boxes[start].name)
    return {name: formats.cut(", ".join(names)) for name, names in before.items()}


def _graph(recorded: Mapping[str, Any]) -> Graph | None:
    """The recorded graph; None where it is none."""
    boxes = [_box(entry) for entry in list_at(recorded, "boxes") if isinstance(entry, Mapping)]
    arrows = []
    for arrow in list_at(recorded, "arrows"):
        ends = [finite(end) for end in arrow] if isinstance(arrow, list) else []
        if len(ends) != 2 or None in ends:
            return None
        start, end = (int(number) for number in ends if number is not None)
        if not 0 <= start < end < len(boxes):  # a file whose arrows run in circles has no ranks
            return None
        arrows.append((start, end))
    return Graph(boxes, arrows) if boxes else None


def _is_drawable(graph: Graph) -> bool:
    """Whether it is small enough to lay out at once: long arrows cost more than boxes."""
    length = sum(end - start for start, end in graph.arrows)
    return len(graph.boxes) <= MOST_BOXES and length <= MOST_LENGTH


def _box(entry: Mapping[str, Any]) -> Box:
    role = entry.get("role")
    return Box(
        name=text_at(entry, "name"),
        type=text_at(entry, "type"),
        inputs=_shapes(list_at(entry, "inputs")),
        outputs=_shapes(list_at(entry, "outputs")),
        role=role if role in ROLES else "layer",
    )


def _shapes(shapes: Sequence[Any]) -> tuple[tuple[Any, ...], ...]:
    return tuple(
        tuple(shape[:MOST_AXES]) for shape in shapes[:MOST_TENSORS] if isinstance(shape, list)
    )
