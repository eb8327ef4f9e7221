"""Draw a model's graph: a box per call, in ranks from the inputs down."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from dlrun.report.model_graph.layout import Layout, Point, layout

if TYPE_CHECKING:
    from dlrun.report.model_graph.graph import Box, Graph, Shape

# All lengths are in points, 72 to the inch.
MARGIN = 18.0
PADDING = 10.0
LINE = 14.0
HEAD = 36.0
NAME, SMALL = 10.0, 8.5
DPI = 150
MAX_PIXELS = 60_000  # matplotlib can't draw 65,536 or more pixels per side

INK, GREY, ARROW = "#1f2933", "#7b8794", "#616e7c"
FILLS = {"input": "#d9f0e3", "output": "#fde8cf", "model": "#e6dff5", "layer": "#dce8f8"}
EDGES = {"input": "#4f9d76", "output": "#d08a34", "model": "#8365bd", "layer": "#5b8ac6"}


def draw(graph: Graph, title: str) -> tuple[Any, int]:
    """Draw a graph.

    Returns:
        The figure, and a resolution in dots per inch for its size.
    """
    from matplotlib.figure import Figure

    rows = [[(label, _format_shape(of)) for label, of in box.rows] for box in graph.boxes]
    placed = layout(
        [_size(box, lines) for box, lines in zip(graph.boxes, rows, strict=True)], graph.arrows
    )
    width = max(placed.width, _width(title, 12, bold=True)) + 2 * MARGIN
    height = placed.height + 2 * MARGIN + 2 * LINE
    figure = Figure(figsize=(width / 72, height / 72), facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    left = (width - placed.width) / 2
    axes.set_xlim(-left, width - left)
    axes.set_ylim(placed.height + MARGIN, -MARGIN - 2 * LINE)
    axes.set_axis_off()
    text(axes, placed.width / 2, -MARGIN - LINE / 2, title, 12, ha="center", weight="bold")
    for route in placed.routes:
        _draw_arrow(axes, route)
    for number, box in enumerate(graph.boxes):
        _draw_box(axes, box, rows[number], placed, number)
    return figure, min(DPI, int(MAX_PIXELS * 72 / max(width, height)))


def _format_shape(shape: Shape) -> str:
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"


def _size(box: Box, rows: list[tuple[str, str]]) -> Point:
    label = 0 if box.role == "input" else _width("out", SMALL) + PADDING
    widths = [_width(box.name, NAME, bold=True), _width(box.type, SMALL)]
    widths += [label + _width(shape, SMALL) for _, shape in rows]
    return max(90.0, *widths) + 2 * PADDING, HEAD + LINE * len(rows) + PADDING


def _draw_box(
    axes: Any, box: Box, rows: list[tuple[str, str]], placed: Layout, number: int
) -> None:
    from matplotlib.patches import FancyBboxPatch, Rectangle

    (x, y), (width, height) = placed.centres[number], _size(box, rows)
    left, top = x - width / 2, y - height / 2
    style = "round,pad=0,rounding_size=5"
    outline = FancyBboxPatch((left, top), width, height, boxstyle=style, fc="white", ec="none")
    axes.add_patch(outline)
    head = Rectangle((left, top), width, HEAD, fc=FILLS[box.role], ec="none")
    axes.add_patch(head)
    head.set_clip_path(outline)
    axes.plot([left, left + width], [top + HEAD] * 2, color=EDGES[box.role], lw=0.8)
    axes.add_patch(
        FancyBboxPatch(
            (left, top), width, height, boxstyle=style, fc="none", ec=EDGES[box.role], lw=1.2
        )
    )
    text(axes, x, top + 12, box.name, NAME, ha="center", weight="bold")
    text(axes, x, top + 26, box.type, SMALL, ha="center", color=GREY)
    for index, (label, shape) in enumerate(rows):
        line = top + HEAD + PADDING / 2 + LINE * (index + 0.5)
        text(axes, left + PADDING, line, label, SMALL, color=GREY)
        if box.role == "input":
            text(axes, x, line, shape, SMALL, ha="center")
        else:
            text(axes, left + width - PADDING, line, shape, SMALL, ha="right")


def _draw_arrow(axes: Any, route: list[Point]) -> None:
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    points, codes = [route[0]], [Path.MOVETO]
    for (x0, y0), (x1, y1) in pairwise(route):
        bend = (y1 - y0) / 2
        points += [(x0, y0 + bend), (x1, y1 - bend), (x1, y1)]
        codes += [Path.CURVE4] * 3
    axes.add_patch(
        FancyArrowPatch(
            path=Path(points, codes),
            arrowstyle="-|>,head_length=5,head_width=2.6",
            mutation_scale=1,
            shrinkA=0,
            shrinkB=0,
            color=ARROW,
            lw=1.1,
            fill=True,
        )
    )


def text(axes: Any, x: float, y: float, words: str, size: float, **how: Any) -> None:
    """Write text literally: a dollar sign in a layer's name does not start a formula."""
    how = {"va": "center", "color": INK, **how}
    axes.text(x, y, words, fontsize=size, parse_math=False, **how)


def _width(words: str, size: float, *, bold: bool = False) -> float:
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextToPath

    font = FontProperties(size=size, weight="bold" if bold else "normal")
    width: float = TextToPath().get_text_width_height_descent(words, font, ismath=False)[0]
    return width
