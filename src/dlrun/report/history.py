"""The curves of a run as a picture, without matplotlib: a sweep has no time for its import."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape

from dlrun.runs.logged_names import by_metric

WIDTH, HEIGHT, GAP = 360, 260, 20  # of a panel
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 34, 40  # around its curves
ACROSS, MOST = 3, 12  # panels in a row, and in all
POINTS = 300  # of a curve
COLORS = (
    *("#2f6db5", "#d1622b", "#3a8f4d", "#b03a78", "#7a5bb5"),
    *("#8a6d3b", "#2a8f9c", "#c0392b", "#6b7a2a", "#555f6e"),
)
STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#24292f}.title{font-size:14px;font-weight:600}"
    ".grid{stroke:#d8dee4}.curve{fill:none;stroke-width:1.8}.validation{stroke-dasharray:5 3}"
    ".best{stroke:#8c959f;stroke-dasharray:2 3}.back{fill:#fff}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.grid{stroke:#3d444d}.back{fill:#0d1117}}"
)

Points = Sequence[tuple[float, float]]


def history_svg(rows: Sequence[Mapping[str, float]], names: Sequence[str], best: int) -> str:
    """A panel for the loss and for each metric, over the epochs.

    Args:
        rows: What each epoch logged, by name.
        names: The logged values to show; those of validation begin with ``val_``.
        best: The best epoch, from 1.
    """
    metrics = by_metric(names)
    titles = sorted(metrics, key=lambda title: title != "loss")
    shown = titles[:MOST]
    across = min(len(shown), ACROSS)
    down = math.ceil(len(shown) / across)
    width, height = across * (WIDTH + GAP), down * (HEIGHT + GAP) + 24
    last = {name: rows[-1].get(name) for name in names}
    end = ", ".join(f"{name} {value:.4g}" for name, value in last.items() if value is not None)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"'
        f' aria-labelledby="t d" width="{width}" height="{height}"><style>{STYLE}</style>',
        '<title id="t">Curves of the run</title>',
        f'<desc id="d">{len(rows)} epochs, the best is {best}. At the end: {escape(end)}.</desc>',
        f'<rect class="back" width="{width}" height="{height}"/>',
    ]
    for number, title in enumerate(shown):
        x, y = (number % across) * (WIDTH + GAP), (number // across) * (HEIGHT + GAP)
        lines.append(f'<g transform="translate({x} {y})">')
        lines += _panel(title, metrics[title], rows, best)
        lines.append("</g>")
    more = len(titles) - len(shown)
    note = f"; {more} more metrics are in metrics.csv" if more else ""
    lines += [
        f'<text x="{LEFT}" y="{height - 10}">solid: training, dashed: validation,'
        f" dotted: best epoch{note}</text>",
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _panel(
    title: str, names: Sequence[str], rows: Sequence[Mapping[str, float]], best: int
) -> Iterator[str]:
    """The curves of one metric; of one with a value for each class, all in one panel."""
    curves = [
        (number, kind, _points(rows, prefix + name))
        for number, name in enumerate(names)
        for prefix, kind in (("", "train"), ("val_", "validation"))
    ]
    values = [value for *_, points in curves for _, value in points]
    yield f'<text class="title" x="{LEFT}" y="20">{escape(_cut(title))}</text>'
    if not values:
        yield f'<text x="{LEFT}" y="{HEIGHT / 2}">no finite value</text>'
        return
    across = Axis(1, max(len(rows), 2), LEFT, WIDTH - RIGHT)
    up = Axis(min(values), max(values), HEIGHT - BOTTOM, TOP)
    yield from grid(across, up)
    middle = (LEFT + WIDTH - RIGHT) / 2
    yield f'<text x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">epoch</text>'
    x = across.place(best)
    yield f'<line class="best" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
    for number, kind, points in curves:
        color = COLORS[number % len(COLORS)] if len(names) > 1 or kind == "train" else COLORS[1]
        places = [(across.place(epoch), up.place(value)) for epoch, value in points]
        if len(places) == 1:
            yield f'<circle cx="{places[0][0]:.1f}" cy="{places[0][1]:.1f}" r="3" fill="{color}"/>'
        elif places:
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
            yield f'<polyline class="curve {kind}" stroke="{color}" points="{path}"/>'


def _points(rows: Sequence[Mapping[str, float]], name: str) -> Points:
    """Epoch and value of a curve, thinned evenly; values that are not finite are left out."""
    points = [
        (epoch, value)
        for epoch, row in enumerate(rows, 1)
        if (value := row.get(name)) is not None and math.isfinite(value)
    ]
    if len(points) <= POINTS:
        return points
    return [points[place * (len(points) - 1) // (POINTS - 1)] for place in range(POINTS)]


class Axis:
    """Places of values from ``low`` to ``high`` between two edges."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        if high <= low:
            apart = abs(low) * 0.1 or 1.0
            low, high = low - apart, high + apart
        self._low, self._high, self.start, self.end = low, high, start, end

    def place(self, value: float) -> float:
        """Where a value lies."""
        share = (value - self._low) / (self._high - self._low)
        return self.start + share * (self.end - self.start)

    def ticks(self, *, whole: bool = False) -> list[float]:
        """About five round values."""
        raw = (self._high - self._low) / 5
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(power * unit for unit in (1, 2, 5, 10) if power * unit >= raw * 0.999)
        step = max(1.0, math.ceil(step)) if whole else step
        first = math.ceil(self._low / step)
        return [place * step for place in range(first, math.floor(self._high / step) + 1)]


def grid(across: Axis, up: Axis, *, prefix: str = "") -> Iterator[str]:
    """A line for each round value of the vertical axis, and the values of both.

    Args:
        across: From the left edge to the right one; whole numbers.
        up: From the bottom to the top.
        prefix: Of the values across, as ``1e`` for powers of ten.
    """
    left, right, bottom = across.start, across.end, up.start
    for tick in up.ticks():
        y = up.place(tick)
        yield f'<line class="grid" x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{number_text(tick)}</text>'
    for tick in across.ticks(whole=True):
        x = across.place(tick)
        yield f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{prefix}{tick:g}</text>'


def number_text(value: float) -> str:
    """A number beside an axis."""
    return f"{value:.4g}" if value else "0"


def _cut(title: str) -> str:
    return title if len(title) <= 40 else f"{title[:37]}..."
