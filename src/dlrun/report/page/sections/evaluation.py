"""The evaluation of a run: each class, confusion, rates, calibration, errors of numbers."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from dlrun.report.page import formats
from dlrun.report.page.charts.lines import COLORS, Line, LineChart, area_below
from dlrun.report.page.markup import Content, element, join
from dlrun.report.page.parts import Cell, Section, code, details, note, number_cell, table
from dlrun.report.page.reading import Rows, finite
from dlrun.report.page.run_view import Confusion, Evaluation, RunView
from dlrun.report.page.sections.curves import Charts

MOST_CLASSES = 1000
MOST_CONFUSED = 40  # rows and columns of the matrix; with more, only the pairs are listed
MOST_PAIRS = 15
SHADES = (0.02, 0.1, 0.3, 0.6)  # shares of a row, from which on a cell is shaded more
# The file of each chart of rates: its title, its columns, and the diagonal that it is read against.
RATES = {
    "roc": ("ROC", "false_positive_rate", "true_positive_rate"),
    "precision_recall": ("Precision and recall", "recall", "precision"),
    "calibration": ("Calibration", "mean_probability", "fraction_of_positives"),
}


def evaluation(run: RunView, charts: Charts) -> Section:
    """Everything in the run's ``evaluation/`` but the samples that it got most wrong."""
    parts: list[Content] = []
    for output, of in run.evaluations.items():
        shown = _of_output(output, of, charts)
        if shown:
            parts += [element("h3", f"Output {formats.cut(output, 80)}")] if output else []
            parts += shown
    if not parts:
        parts.append(missing(run))
    return Section("evaluation", "Evaluation", join(parts))


def missing(run: RunView) -> Content:
    """How to get what is not there."""
    path = shlex.quote(str(run.path))
    return join(
        [
            note(
                "There is no evaluation/ with the figures of each class or target. A run that ends "
                "keeps it; for one of an older version, write it, and make the page again:"
            ),
            code(f"dlrun evaluate {path} --csv {path}/evaluation", f"dlrun report {path}"),
        ]
    )


def _of_output(output: str, of: Evaluation, charts: Charts) -> list[Content]:
    parts: list[Content] = []
    tables = of.tables
    beside = [_figures("Each class", "class", rows)] if (rows := tables.get("per_class")) else []
    if rows := tables.get("per_target"):
        beside.append(_figures("Each target", "target", rows))
    if of.confusion:
        beside += _confusion(of.confusion)
    parts.append(element("div", beside, class_="beside") if beside else None)
    figures = []
    kept = _hardest(tables)
    for name, (title, x, y) in RATES.items():
        points = _points(tables.get(name, []), "class", x, y)
        chart = _rates(f"{name}-{output}" if output else name, title, points, kept)
        if chart:
            figure, charts[chart.identifier] = chart.draw()
            figures.append(figure)
    if residuals := tables.get("residuals"):
        chart = _residuals(f"residuals-{output}" if output else "residuals", residuals)
        if chart:
            figure, charts[chart.identifier] = chart.draw()
            figures.append(figure)
    if figures:
        parts.append(element("div", figures, class_="grid"))
    if rows := tables.get("errors_by_size"):
        parts.append(details("Errors by size", _figures("Errors by size", "target", rows)))
    if rows := tables.get("thresholds"):
        parts.append(_thresholds(rows))
    return parts


def _figures(caption: str, by: str, rows: Rows) -> Content:
    """A row for each class or target, with its figures."""
    columns = [name for name in rows[0] if name != by]
    body = [
        [
            formats.cut(row.get(by, ""), 80),
            *(number_cell(v := finite(row.get(name)), formats.number(v)) for name in columns),
        ]
        for row in rows[:MOST_CLASSES]
    ]
    heads = [name.replace("_", " ") for name in (by, *columns)]
    return table(caption, heads, body, sortable=True, class_="compact")


def _confusion(of: Confusion) -> list[Content]:
    """The matrix, shaded by the share of its row, and the pairs that are confused most."""
    names, trues, matrix = of.predicted, of.true, of.counts
    parts: list[Content] = []
    if len(trues) <= MOST_CONFUSED and len(names) <= MOST_CONFUSED:
        body = []
        for place, (true, counts) in enumerate(zip(trues, matrix, strict=True)):
            total = sum(counts) or 1.0
            cells: list[Content | Cell] = [
                Cell(formats.number(count), count, _shade(count / total, column == place))
                for column, count in enumerate(counts)
            ]
            body.append([formats.cut(true, 30), *cells])
        caption = "Confusion matrix: rows are true classes, columns predicted ones"
        head = ["true", *(formats.cut(name, 30) for name in names)]
        parts.append(table(caption, head, body, class_="matrix"))
    pairs = sorted(
        (
            (count, sum(counts), true, name)
            for place, (true, counts) in enumerate(zip(trues, matrix, strict=True))
            for column, (name, count) in enumerate(zip(names, counts, strict=True))
            if column != place and count > 0
        ),
        key=lambda pair: -pair[0],
    )
    if pairs and len(names) > 2:
        body = [
            [
                formats.cut(true, 60),
                formats.cut(name, 60),
                number_cell(count, formats.number(count)),
                number_cell(count / total, formats.share(count / total)),
            ]
            for count, total, true, name in pairs[:MOST_PAIRS]
        ]
        head = ["true", "predicted", "samples", "of the true class"]
        parts.append(table("What is confused most", head, body, sortable=True, class_="compact"))
    return parts


def _shade(share: float, is_right: bool) -> str:
    """Stronger for a larger share of the row; the right ones are outlined too."""
    level = 0 if share <= 0 else 1 + sum(share > bound for bound in SHADES)
    return f"number shade{level}{' right' if is_right else ''}"


def _points(rows: Rows, by: str, x: str, y: str) -> dict[str, list[tuple[float, float]]]:
    """The points of each class or target from left to right, else in the order of their rows.

    A curve of precision over recall falls where recall stays the same, one of ROC rises.
    """
    points: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        at = finite(row.get(x)), finite(row.get(y))
        if at[0] is not None and at[1] is not None:
            points.setdefault(row.get(by, ""), []).append((at[0], at[1]))
    return {name: of[::-1] if of[0][0] > of[-1][0] else of for name, of in points.items()}


def _hardest(tables: Mapping[str, Rows]) -> list[str]:
    """The classes that have a line: with more than there are colours, those of the worst curves."""
    curves = _points(tables.get("precision_recall", []), "class", "recall", "precision")
    curves = curves or _points(tables.get("roc", []), "class", *RATES["roc"][1:])
    worst = sorted(curves, key=lambda name: area_below(curves[name]))[:COLORS]
    return [name for name in curves if name in worst]


def _rates(
    identifier: str, title: str, points: Mapping[str, list[tuple[float, float]]], kept: list[str]
) -> LineChart | None:
    """A line for each class, and a table of the areas below them."""
    if not points:
        return None
    is_area = title != RATES["calibration"][0]
    areas = {name: area_below(of) for name, of in points.items()} if is_area else {}
    shown = [name for name in kept if name in points] or list(points)[:COLORS]
    lines = [
        Line(formats.cut(name, 40) or "positive", points[name], f"c{place} d{place}")
        for place, name in enumerate(shown)
    ]
    areas_by_class = [
        f"{name or 'positive'} {formats.number(area)}" for name, area in areas.items()
    ][:50]
    body = [
        [formats.cut(name, 60) or "positive", number_cell(area, formats.number(area))]
        for name, area in list(areas.items())[:MOST_CLASSES]
    ]
    summary = (
        f"Area below the line of each class: {', '.join(areas_by_class)}."
        if is_area
        else "For each class, how often it was true where the model said so with some probability; "
        "on the diagonal, the model's probabilities are right."
    )
    of = table("Area below each line", ["class", "area"], body, sortable=True, class_="compact")
    hint = note(f"{len(lines)} of {len(points)} classes, those with the worst curves.")
    more: list[Content] = [hint] if len(points) > len(lines) else []
    more += [details("Areas", of)] if is_area else []
    x, y = next((x, y) for name, x, y in RATES.values() if name == title)
    return LineChart(
        identifier,
        title,
        lines,
        x_label=x.replace("_", " "),
        y_label=y.replace("_", " "),
        is_whole=False,
        unit_square=True,
        has_diagonal=title != RATES["precision_recall"][0],
        summary=summary,
        has_table=not is_area,
        more=join(more),
    )


def _residuals(identifier: str, rows: Rows) -> LineChart | None:
    """The quantiles of the error, a line for each target."""
    points = _points(rows, "target", "quantile", "error")
    if not points:
        return None
    lines = [
        Line(formats.cut(name, 40) or "error", of, f"c{place} d{place}")
        for place, (name, of) in enumerate(list(points.items())[:COLORS])
    ]
    sentences = [
        f"{line.name}: the smallest error is {formats.number(line.points[0][1])}, the largest "
        f"{formats.number(line.points[-1][1])}."
        for line in lines
    ]
    return LineChart(
        identifier,
        "Errors by quantile",
        lines,
        x_label="quantile",
        is_whole=False,
        summary=" ".join(sentences),
    )


def _thresholds(rows: Rows) -> Content:
    columns = list(rows[0])
    step = max(1, len(rows) // 100)
    body: Sequence[Sequence[Content | Cell]] = [
        [number_cell(v := finite(row.get(name)), formats.number(v)) for name in columns]
        for row in rows[::step]
    ]
    whole = table("Figures by threshold", columns, body, sortable=True, class_="compact")
    return details("Thresholds", whole)
