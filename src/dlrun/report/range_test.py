"""A learning-rate range test, as text and as a picture."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from dlrun.report.history import COLORS, STYLE, Axis, grid
from dlrun.report.sparkline import sparkline
from dlrun.report.tables import table

WIDTH, HEIGHT = 640, 400
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 44, 64
POINTS = 600  # of a line
ROWS = 12  # of the table: a line for each of so many steps, evenly
STOPPED = {
    "divergence": "the loss diverges",
    "a loss that is not finite": "the loss is not finite",
    "time": "the time was over",
}


def range_text(result: Mapping[str, Any]) -> str:
    """The curve in a few rows and one line, and what to use."""
    curve = result["curve"]
    title = f"{result['model']}, {result['data']}, {result['optimizer']}, batches of"
    title += f" {result['batch_size']}, {result['backend']} {result['loop']}, {result['device']}"
    last = len(curve) - 1
    shown = sorted({round(row * last / (ROWS - 1)) for row in range(ROWS)} if last else {0})
    rows = [["step", "learning rate", "loss", "smoothed"]]
    for place in shown:
        point = curve[place]
        rows.append(
            [
                str(point["step"]),
                f"{point['learning_rate']:.3g}",
                f"{point['loss']:.4g}",
                f"{point['smoothed']:.4g}",
            ]
        )
    line = f"smoothed  {sparkline([point['smoothed'] for point in curve], 60)}"
    return "\n\n".join([title, table(rows), line, recommendation(result)])


def recommendation(result: Mapping[str, Any]) -> str:
    """What to use, as an override, and why; or why there is nothing to recommend."""
    notes = []
    if result["stopped_by"] == "time":
        notes.append(f"the time was over after {result['taken']} of {result['steps']} steps")
    if (rate := result["diverged_at"]) is not None:
        notes.append(f"{STOPPED[result['stopped_by']]} at {rate:.2g}")
    if not result["use"]:
        return "; ".join([f"use    nothing: {result['reason']}", *notes])
    lowest = result["lowest"]["learning_rate"]
    why = f"the smoothed loss falls fastest there, and is lowest at {lowest:.2g}"
    return "; ".join([f"use    {result['use'][0]}: {why}", *notes])


def curve_svg(result: Mapping[str, Any]) -> str:
    """The loss and its smoothed curve over the learning rate, on a logarithmic axis."""
    curve = result["curve"]
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
        f' aria-labelledby="t d" width="{WIDTH}" height="{HEIGHT}"><style>{STYLE}'
        ".raw{fill:none;stroke-width:1;opacity:.45}</style>",
        '<title id="t">Learning-rate range test</title>',
        f'<desc id="d">{escape(recommendation(result))}</desc>',
        f'<rect class="back" width="{WIDTH}" height="{HEIGHT}"/>',
        f'<text class="title" x="{LEFT}" y="20">{escape(_title(result))}</text>',
    ]
    rates = [math.log10(point["learning_rate"]) for point in curve]
    means = [point["smoothed"] for point in curve]
    across = Axis(min(rates), max(rates), LEFT, WIDTH - RIGHT)
    losses = [point["loss"] for point in curve]
    # The explosion at the end would leave no room for what is before it.
    high = max(*means, *losses[: means.index(min(means)) + 1])
    span = (high - min(losses)) * 0.05
    up = Axis(min(losses) - span, high + span, HEIGHT - BOTTOM, TOP)
    lines += _axes(across, up)
    for name, class_, color in (("loss", "raw", COLORS[0]), ("smoothed", "curve", COLORS[1])):
        # A loss beyond the axis is drawn at its edge.
        places = [
            (across.place(rate), min(max(up.place(point[name]), TOP), HEIGHT - BOTTOM))
            for rate, point in zip(rates, curve, strict=True)
        ]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in _thin(places))
        lines.append(f'<polyline class="{class_}" stroke="{color}" points="{path}"/>')
    if (rate := result["suggestion"]) is not None:
        x = across.place(math.log10(rate))
        lines.append(f'<line class="best" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}"')
        lines.append(f' y2="{HEIGHT - BOTTOM}"/>')
        lines.append(f'<text x="{x + 4:.1f}" y="{TOP + 10}">{rate:g}</text>')
    lines += [
        f'<text x="{LEFT}" y="{HEIGHT - 10}">thin: loss of each step, thick: smoothed, dotted: the'
        " suggestion</text>",
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _title(result: Mapping[str, Any]) -> str:
    return f"{result['model']}, {result['optimizer']}, batches of {result['batch_size']}"


def _axes(across: Axis, up: Axis) -> Iterator[str]:
    yield from grid(across, up, prefix="1e")
    middle, below = (LEFT + WIDTH - RIGHT) / 2, HEIGHT - BOTTOM + 36
    yield f'<text x="{middle}" y="{below}" text-anchor="middle">learning rate</text>'


def _thin(places: Sequence[tuple[float, float]]) -> Sequence[tuple[float, float]]:
    if len(places) <= POINTS:
        return places
    return [places[n * (len(places) - 1) // (POINTS - 1)] for n in range(POINTS)]
