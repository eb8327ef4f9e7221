"""A model's graph as SVG: a box per call, in ranks from the inputs down."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from dlrun.report.model_graph.graph import Box, Graph
from dlrun.report.model_graph.layout import Point, layout
from dlrun.report.page import formats
from dlrun.report.page.markup import Markup, element

MARGIN, PADDING, LINE, HEAD = 8.0, 10.0, 15.0, 38.0
# The widest a character of this size is in the fonts of browsers, nearly.
NAME_WIDTH, SMALL_WIDTH = 7.6, 6.4
MOST_BOXES = 250  # more make a picture that nobody can follow


def draw_graph(graph: Graph, title: str) -> Markup:
    """The graph; what it shows stands in the table of the layers too."""
    rows = [[(label, formats.shape(of)) for label, of in box.rows] for box in graph.boxes]
    sizes = [_size(box, lines) for box, lines in zip(graph.boxes, rows, strict=True)]
    placed = layout(sizes, graph.arrows)
    width, height = placed.width + 2 * MARGIN, placed.height + 2 * MARGIN
    head = element("path", d="M0,0 L6,3 L0,6 z")
    arrow = element(
        "marker", head, id="arrow", orient="auto", markerWidth=6, markerHeight=6, refX=6, refY=3
    )
    boxes = [
        _box(box, lines, centre, size)
        for box, lines, centre, size in zip(graph.boxes, rows, placed.centres, sizes, strict=True)
    ]
    drawing = element(
        "g",
        [
            element("path", d=_curve(route), class_="arrow", marker_end="url(#arrow)")
            for route in placed.routes
        ],
        boxes,
        transform=f"translate({MARGIN:g} {MARGIN:g})",
    )
    svg = element(
        "svg",
        element("title", title, id="graph-title"),
        element("desc", _description(graph), id="graph-desc"),
        element("defs", arrow),
        drawing,
        viewBox=f"0 0 {width:.0f} {height:.0f}",
        width=f"{width:.0f}",
        height=f"{height:.0f}",
        role="img",
        aria_labelledby="graph-title",
        aria_describedby="graph-desc",
        class_="graph",
    )
    return element(
        "div", svg, class_="scroll graph-box", tabindex="0", role="group", aria_label=title
    )


def _description(graph: Graph) -> str:
    count = len(graph.boxes)
    ends = {role: [b.name for b in graph.boxes if b.role == role] for role in ("input", "output")}
    return (
        f"{count} boxes from {', '.join(ends['input'][:10]) or 'the input'} down to "
        f"{', '.join(ends['output'][:10]) or 'the output'}; the table of the layers has them all."
    )


def _size(box: Box, rows: Sequence[tuple[str, str]]) -> Point:
    widths = [len(_name(box.name)) * NAME_WIDTH, len(_name(box.type)) * SMALL_WIDTH]
    widths += [(len(label) + 2 + len(shape)) * SMALL_WIDTH for label, shape in rows]
    return max(100.0, *widths) + 2 * PADDING, HEAD + LINE * len(rows) + PADDING


def _name(of: str) -> str:
    return formats.cut(of, 40)


def _box(box: Box, rows: Sequence[tuple[str, str]], centre: Point, size: Point) -> Markup:
    width, height = size
    left, top = round(centre[0] - width / 2, 1), round(centre[1] - height / 2, 1)
    x = round(centre[0], 1)
    drawn = [
        element("rect", x=left, y=top, width=round(width, 1), height=height, rx=5, class_="box"),
        element("path", d=_header(left, top, round(width, 1)), class_="head"),
        element("text", _name(box.name), x=x, y=top + 16, text_anchor="middle", class_="strong"),
        element("text", _name(box.type), x=x, y=top + 31, text_anchor="middle", class_="small"),
    ]
    for index, (label, shape) in enumerate(rows):
        y = top + HEAD + LINE * (index + 0.8)
        if box.role == "input":
            drawn.append(element("text", shape, x=x, y=y, text_anchor="middle", class_="small"))
            continue
        right = round(left + width - PADDING, 1)
        if label:
            drawn.append(element("text", label, x=left + PADDING, y=y, class_="small muted"))
        drawn.append(element("text", shape, x=right, y=y, text_anchor="end", class_="small"))
    return element("g", drawn, class_=f"call {box.role}")


def _header(left: float, top: float, width: float) -> str:
    right, bottom = left + width, top + HEAD
    return (
        f"M{left:g},{bottom:g} V{top + 5:g} Q{left:g},{top:g} {left + 5:g},{top:g} "
        f"H{right - 5:g} Q{right:g},{top:g} {right:g},{top + 5:g} V{bottom:g} z"
    )


def _curve(route: Sequence[Point]) -> str:
    words = [f"M{route[0][0]:.1f},{route[0][1]:.1f}"]
    for (x0, y0), (x1, y1) in pairwise(route):
        bend = (y1 - y0) / 2
        words.append(f"C{x0:.1f},{y0 + bend:.1f} {x1:.1f},{y1 - bend:.1f} {x1:.1f},{y1:.1f}")
    return " ".join(words)
