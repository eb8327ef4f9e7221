"""Parallel coordinates: an axis for each key, a line for each run."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dlrun.report.page import formats
from dlrun.report.page.charts import scale
from dlrun.report.page.importance import UNSET
from dlrun.report.page.markup import Content, Markup, element
from dlrun.report.page.reading import finite
from dlrun.report.tables import brief

WIDTH, HEIGHT = 920.0, 340.0
SIDE, TOP, BOTTOM = 70.0, 44.0, 24.0
FEW = 8  # numbers of at most so many values of a key stand at equal distances
MOST_TICKS = 12
GAP = 60.0  # between the values and the runs that do not set the key
SPREAD = 18.0  # how far apart the lines of equal values lie at most


@dataclass(frozen=True)
class Track:
    """One run: its value of each key, its result, which is finite, and how its line looks."""

    run: str
    label: str
    values: Sequence[str]
    result: float
    class_: str


@dataclass(frozen=True)
class _Axis:
    place: Callable[[Any], float]  # of a key's value as text, of a result as a number
    ticks: Sequence[tuple[float, str]]
    has_few: bool = False  # values, so that many lines meet at each


def parallel(
    identifier: str,
    title: str,
    summary: str,
    names: Sequence[str],
    tracks: Sequence[Track],
    note: Content = None,
) -> tuple[Markup, dict[str, Any]]:
    """The figure, and what the script needs.

    Args:
        identifier: Unique on the page.
        title: What it shows.
        summary: What a reader who does not see it should know.
        names: Of the axes, from left to right, the result last; at least two.
        tracks: The runs; later ones are drawn above earlier ones.
        note: What stands below.
    """
    xs = [SIDE + n * (WIDTH - 2 * SIDE) / (len(names) - 1) for n in range(len(names))]
    values_of = [[track.values[n] for track in tracks] for n in range(len(names) - 1)]
    # Of the result, distances tell how much better a run is.
    results = [_as_shown(track.result) for track in tracks]
    axes = [*map(_axis, values_of), _number_axis(results, HEIGHT - BOTTOM)]
    lines, entries = [], []
    for number, (track, result) in enumerate(zip(tracks, results, strict=True)):
        aside = SPREAD * (0.5 - number / max(len(tracks) - 1, 1))
        points = [
            (round(x, 1), round(axis.place(value) + aside * axis.has_few, 1))
            for x, axis, value in zip(xs, axes, [*track.values, result], strict=True)
            if value != ""
        ]
        drawn = " ".join(f"{x:g},{y:g}" for x, y in points)
        polyline = element("polyline", points=drawn, class_="line")
        lines.append(element("g", polyline, class_=track.class_, data_run=track.run))
        values = [*track.values, formats.number(track.result)]
        told = [f"{name} {formats.cut(v, 40)}" for name, v in zip(names, values, strict=True) if v]
        entries.append({"name": track.label, "run": track.run, "points": points, "tell": told})
    svg = element(
        "svg",
        element("title", title, id=f"{identifier}-title"),
        element("desc", summary, id=f"{identifier}-desc"),
        element("g", lines, class_="lines"),
        element(
            "g",
            [_draw(x, axis, name) for x, axis, name in zip(xs, axes, names, strict=True)],
            class_="axes",
            aria_hidden="true",
        ),
        element("g", class_="pointer"),
        viewBox=f"0 0 {WIDTH:g} {HEIGHT:g}",
        role="img",
        aria_labelledby=f"{identifier}-title",
        aria_describedby=f"{identifier}-desc",
    )
    figure = element(
        "figure",
        element("figcaption", element("strong", title)),
        element("div", svg, element("div", class_="tip", hidden=True), class_="plot"),
        element("p", class_="reading", role="status", aria_live="polite"),
        note,
        class_="chart wide",
        id=identifier,
    )
    # Its points are places already: the script's scale leaves them as they are.
    box = [0, WIDTH, 0, HEIGHT]
    return figure, {"shared": False, "segments": True, "scale": box, "box": box, "lines": entries}


def _as_shown(result: float) -> float:
    """The number that is read on the page: later digits place no line elsewhere."""
    return float(formats.number(result).replace(",", ""))


def _axis(values: Sequence[str]) -> _Axis:
    if UNSET not in values or all(value == UNSET for value in values):
        return _axis_of(values, HEIGHT - BOTTOM)
    # Below the others, so that a range of numbers stays one.
    axis = _axis_of([value for value in values if value != UNSET], HEIGHT - BOTTOM - GAP)
    ticks = [*axis.ticks, (HEIGHT - BOTTOM, UNSET)]
    return _Axis(
        lambda value: HEIGHT - BOTTOM if value == UNSET else axis.place(value), ticks, axis.has_few
    )


def _axis_of(values: Sequence[str], bottom: float) -> _Axis:
    distinct = list(dict.fromkeys(value for value in values if value != ""))
    numbers = {value: finite(value) for value in distinct}
    known = [number for number in numbers.values() if number is not None]
    if len(known) < len(distinct) or len(distinct) <= FEW:
        ordered = sorted(distinct, key=lambda v: (numbers[v] is None, numbers[v] or 0.0, v))
        step = (bottom - TOP) / max(len(ordered) - 1, 1)
        only = (bottom + TOP) / 2
        at = {v: bottom - n * step if len(ordered) > 1 else only for n, v in enumerate(ordered)}
        every = max(1, -(-len(ordered) // MOST_TICKS))
        return _Axis(at.__getitem__, [(at[v], v) for v in ordered[::every]], has_few=True)
    axis = _number_axis(known, bottom)
    return replace(axis, place=lambda value: axis.place(numbers[value]))


def _number_axis(numbers: Sequence[float], bottom: float) -> _Axis:
    low, high = min(numbers), max(numbers)
    if low == high:
        only = (bottom + TOP) / 2
        return _Axis(lambda _: only, [(only, formats.number(low))], has_few=True)
    middle = sorted(numbers)[len(numbers) // 2]
    if low > 0 and high / low > 10 and middle - low < 0.25 * (high - low):  # most are small
        logs = scale.Scale(math.log10(low), math.log10(high), bottom, TOP)
        powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        marks = [factor * 10.0**power for power in powers for factor in (1, 3)]
        ticks = [(logs.place(math.log10(m)), _short(m)) for m in marks if low <= m <= high]
        return _Axis(lambda number: logs.place(math.log10(number)), ticks)
    linear = scale.Scale(low, high, bottom, TOP)
    ticks = [(linear.place(t), scale.label(t)) for t in scale.ticks(low, high) if low <= t <= high]
    return _Axis(linear.place, ticks)


def _draw(x: float, axis: _Axis, name: str) -> Markup:
    x = round(x, 1)
    parts: list[Content] = [
        element("line", x1=x, x2=x, y1=TOP, y2=HEIGHT - BOTTOM, class_="axis"),
        element(
            "text", formats.cut(name, 18), x=x, y=TOP - 24, text_anchor="middle", class_="name"
        ),
    ]
    for place, label in axis.ticks:
        y = round(place, 1)
        parts.append(element("line", x1=x - 4, x2=x, y1=y, y2=y, class_="axis"))
        shown = formats.cut(brief(label), 12)
        parts.append(
            element("text", shown, x=x - 7, y=round(y + 4, 1), text_anchor="end", class_="halo")
        )
    return element("g", parts)


def _short(value: float) -> str:
    return f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e") if value < 1e-3 else f"{value:g}"


def classes_by_rank(ranks: Mapping[str, int], count: int) -> dict[str, str]:
    """How the line of each run looks: the best fifth is the strongest of five shades."""
    return {run: f"r{min(4, 5 * rank // max(count, 1))}" for run, rank in ranks.items()}
