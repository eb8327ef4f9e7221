"""A chart of lines: a value over epochs, a rate over another rate."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from dlrun.report.page.charts import scale
from dlrun.report.page.formats import number
from dlrun.report.page.markup import Markup, element, join
from dlrun.report.page.parts import details, number_cell, table

WIDTH, HEIGHT = 480.0, 280.0
LEFT, RIGHT, TOP, BOTTOM = 54.0, 14.0, 12.0, 40.0
MOST_POINTS = 240  # of one line: more than a line has pixels helps nobody
MARKED = 30  # lines of at most so many points have a mark at each
COLORS = 8

Point = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """One line.

    Args:
        name: What it shows.
        points: By ascending x; all are finite.
        class_: How it looks: ``c0`` to ``c7`` a colour, ``d0`` to ``d7`` a pattern, ``dashed``,
            ``best``, ``thin``; ``r0`` to ``r4`` a shade by rank.
        run: The run that it is of, if the chart has several.
    """

    name: str
    points: Sequence[Point]
    class_: str = "c0"
    run: str | None = None


@dataclass(frozen=True)
class LineChart:
    """Lines over one axis.

    Args:
        identifier: Unique on the page.
        title: What it shows.
        lines: At least one with a point.
        x_label: The name of the horizontal axis.
        y_label: The name of the vertical one, where the title does not say it.
        is_whole: Whether x counts something, as epochs.
        marked_x: A place to mark, with its name.
        unit_square: Whether both axes go from 0 to 1.
        has_diagonal: Whether to draw what chance, or perfect calibration, would give.
        summary: What a reader who does not see it should know.
        has_table: Whether its numbers are shown as a table on request.
        legend: Whether to name its lines, if there are several.
        more: What stands below.
    """

    identifier: str
    title: str
    lines: Sequence[Line]
    x_label: str = "epoch"
    y_label: str = ""
    is_whole: bool = True
    marked_x: tuple[float, str] | None = None
    unit_square: bool = False
    has_diagonal: bool = False
    summary: str = ""
    has_table: bool = True
    legend: bool = True
    more: Markup = field(default_factory=Markup)

    def draw(self) -> tuple[Markup, dict[str, Any]]:
        """The figure, and what the script needs to tell the values under the pointer."""
        lines = [Line(x.name, thin(x.points), x.class_, x.run) for x in self.lines if x.points]
        horizontal, vertical, x_ticks, y_ticks = self._scales(lines)
        svg = element(
            "svg",
            element("title", self.title, id=f"{self.identifier}-title"),
            element("desc", self.summary, id=f"{self.identifier}-desc"),
            _grid(horizontal, vertical, x_ticks, y_ticks, self.x_label),
            self._extras(horizontal, vertical),
            element("g", [_line(line, horizontal, vertical) for line in lines], class_="lines"),
            element("g", class_="pointer"),
            viewBox=f"0 0 {WIDTH:g} {HEIGHT:g}",
            role="img",
            aria_labelledby=f"{self.identifier}-title",
            aria_describedby=f"{self.identifier}-desc",
        )
        plot = element("div", svg, element("div", class_="tip", hidden=True), class_="plot")
        caption = element("figcaption", element("strong", self.title), self._legend(lines))
        figure = element(
            "figure",
            caption,
            plot,
            element("p", class_="reading", role="status", aria_live="polite"),
            self.more,
            self._table(lines) if self.has_table else None,
            class_="chart",
            id=self.identifier,
        )
        return figure, {
            "x": self.x_label,
            "y": self.y_label,
            "shared": not any(line.run for line in lines) and not self.unit_square,
            "scale": [horizontal.low, horizontal.high, vertical.low, vertical.high],
            "box": [horizontal.start, horizontal.end, vertical.start, vertical.end],
            "lines": [
                {
                    "name": line.name,
                    **({"run": line.run} if line.run else {}),
                    "points": [[_short(x), _short(y)] for x, y in line.points],
                }
                for line in lines
            ],
        }

    def _scales(
        self, lines: Sequence[Line]
    ) -> tuple[scale.Scale, scale.Scale, list[float], list[float]]:
        xs = [x for line in lines for x, _ in line.points]
        x_low, x_high = (0.0, 1.0) if self.unit_square else (min(xs), max(xs))
        if x_low == x_high:
            x_low, x_high = x_low - 0.5, x_high + 0.5
        y_low, y_high = (0.0, 1.0)
        if not self.unit_square:
            y_low, y_high = scale.bounds([y for line in lines for _, y in line.points])
        y_ticks = scale.ticks(y_low, y_high)
        x_ticks = scale.ticks(x_low, x_high)
        if self.is_whole and not self.unit_square:
            x_ticks = scale.whole_ticks(min(xs), max(xs))
        horizontal = scale.Scale(x_low, x_high, LEFT, WIDTH - RIGHT)
        vertical = scale.Scale(y_ticks[0], y_ticks[-1], HEIGHT - BOTTOM, TOP)
        return horizontal, vertical, [x for x in x_ticks if x_low <= x <= x_high], y_ticks

    def _extras(self, horizontal: scale.Scale, vertical: scale.Scale) -> Markup:
        drawn = []
        if self.has_diagonal:
            ends = (vertical.place(0), vertical.place(1))
            points = (
                f"{horizontal.place(0):.1f},{ends[0]:.1f} {horizontal.place(1):.1f},{ends[1]:.1f}"
            )
            drawn.append(element("polyline", points=points, class_="diagonal"))
        if self.marked_x:
            x = round(horizontal.place(self.marked_x[0]), 1)
            drawn.append(element("line", x1=x, x2=x, y1=TOP, y2=HEIGHT - BOTTOM, class_="marked"))
            is_right = x > WIDTH - 70
            anchor, shift = ("end", -4) if is_right else ("start", 4)
            drawn.append(
                element(
                    "text",
                    self.marked_x[1],
                    x=x + shift,
                    y=TOP + 9,
                    text_anchor=anchor,
                    class_="mark",
                )
            )
        return join(drawn)

    def _legend(self, lines: Sequence[Line]) -> Markup | None:
        if not self.legend or len(lines) < 2:
            return None
        return legend([(line.name, line.class_) for line in lines])

    def _table(self, lines: Sequence[Line]) -> Markup:
        values = [dict(line.points) for line in lines]
        xs = sorted({x for line in values for x in line})
        rows = [
            [number(x), *(number_cell(line.get(x), number(line.get(x))) for line in values)]
            for x in xs
        ]
        head = [self.x_label, *(line.name for line in lines)]
        return details("Numbers", table(f"{self.title}, the numbers", head, rows))


def thin(points: Sequence[Point], most: int = MOST_POINTS) -> list[Point]:
    """Evenly chosen points with the first and the last, and the lowest and highest of the rest."""
    if len(points) <= most:
        return list(points)
    chosen = {round(n * (len(points) - 1) / (most - 3)) for n in range(most - 2)}
    order = sorted(range(len(points)), key=lambda at: points[at][1])
    return [points[at] for at in sorted(chosen | {order[0], order[-1]})]


def _line(line: Line, horizontal: scale.Scale, vertical: scale.Scale) -> Markup:
    top = min(vertical.start, vertical.end)

    def place(point: Point) -> tuple[float, float]:
        return horizontal.place(point[0]), max(vertical.place(point[1]), top)

    placed = [place(point) for point in line.points]
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
    drawn = [element("polyline", points=points, class_="line")]
    if len(placed) == 1 or (len(placed) <= MARKED and not line.run):  # a point alone is not a line
        drawn += [element("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r="2.4") for x, y in placed]
    return element("g", drawn, class_=line.class_, data_run=line.run)


def _grid(
    horizontal: scale.Scale,
    vertical: scale.Scale,
    x_ticks: Sequence[float],
    y_ticks: Sequence[float],
    x_label: str,
) -> Markup:
    drawn = []
    for tick in y_ticks:
        y = round(vertical.place(tick), 1)
        drawn.append(element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y, class_="grid"))
        drawn.append(element("text", scale.label(tick), x=LEFT - 6, y=y + 4, text_anchor="end"))
    kept: list[float] = []
    for tick in x_ticks:  # labels that would touch the one before are left out
        if all(horizontal.place(tick) - horizontal.place(other) > 30 for other in kept):
            kept.append(tick)
    for tick in kept:
        x, bottom = round(horizontal.place(tick), 1), HEIGHT - BOTTOM
        drawn.append(element("line", x1=x, x2=x, y1=bottom, y2=bottom + 4, class_="axis"))
        drawn.append(element("text", scale.label(tick), x=x, y=bottom + 17, text_anchor="middle"))
    middle = (LEFT + WIDTH - RIGHT) / 2
    drawn.append(
        element("text", x_label, x=middle, y=HEIGHT - 6, text_anchor="middle", class_="name")
    )
    return element("g", drawn, class_="axes", aria_hidden="true")


def area_below(points: Sequence[Point]) -> float:
    """The area below a line, by trapezoids."""
    return sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in pairwise(points))


def _short(value: float) -> float:
    return float(f"{value:.6g}")


def legend(lines: Iterable[tuple[str, str]]) -> Markup:
    """A list of lines: the name of each, and how its class is drawn."""
    entries = [
        element(
            "li",
            element(
                "svg",
                element("line", x1=0, x2=26, y1=6, y2=6, class_=f"line {class_}"),
                viewBox="0 0 26 12",
                aria_hidden="true",
            ),
            name,
        )
        for name, class_ in lines
    ]
    return element("ul", entries, class_="legend")
