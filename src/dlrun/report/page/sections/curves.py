"""The curves of a run: loss, metrics and learning rate over its epochs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dlrun.report.page import formats
from dlrun.report.page.charts.lines import Line, LineChart
from dlrun.report.page.markup import Markup, element
from dlrun.report.page.parts import Section, note
from dlrun.report.page.run_view import RunView
from dlrun.runs.logged_names import by_metric

MOST_CHARTS = 24
MOST_VALUES = 8  # of a metric with a value for each class

Charts = dict[str, Any]


def curves(run: RunView, charts: Charts) -> Section:
    """Charts of what ``metrics.csv`` has, each with its numbers.

    Args:
        run: The run.
        charts: Takes what the script needs of each chart.
    """
    figures: list[Markup] = []
    metrics = by_metric(run.metrics)
    for place, (metric, names) in enumerate(list(metrics.items())[:MOST_CHARTS]):
        chart = _of_metric(run, f"curve-{place}", metric, names)
        if chart:
            figure, charts[chart.identifier] = chart.draw()
            figures.append(figure)
    rates = run.points("learning_rate")
    if len({value for _, value in rates}) > 1:
        line = Line("learning rate", rates)
        summary = _summary([line], run.along)
        chart = LineChart("curve-rate", "learning rate", [line], run.along, summary=summary)
        figure, charts[chart.identifier] = chart.draw()
        figures.append(figure)
    if not figures and run.curves:
        return Section("curves", "Curves", note(f"The metrics.csv has no {run.along}."))
    if not figures:
        content = note(
            "There is no metrics.csv with a finished epoch. The callback csv, which is on by "
            "default, writes it."
        )
        return Section("curves", "Curves", content)
    left_out = len(metrics) - MOST_CHARTS
    more = note(f"{left_out} more metrics are in metrics.csv.") if left_out > 0 else None
    return Section("curves", "Curves", element("div", element("div", figures, class_="grid"), more))


def _of_metric(
    run: RunView, identifier: str, metric: str, names: Sequence[str]
) -> LineChart | None:
    several = len(names) > 1
    lines = []
    splits = [("", "train", ""), ("val_", "validation", " dashed")]
    if several and any(run.points(f"val_{name}") for name in names):
        del splits[0]  # a line for each value is enough in one chart
    for place, name in enumerate(names[:MOST_VALUES]):
        for prefix, split, style in splits:
            if points := run.points(prefix + name):
                looks = f"c{place} d{place}" if several else f"c{int(bool(prefix))}{style}"
                lines.append(Line(f"{name} {split}" if several else split, points, looks))
    if not lines:
        return None
    best = None if run.best_epoch is None else run.place_of(run.best_epoch)
    epochs = [x for line in lines for x, _ in line.points]
    is_shown = best is not None and min(epochs) <= best <= max(epochs) and len(set(epochs)) > 1
    return LineChart(
        identifier,
        metric,
        lines,
        marked_x=(best, "best") if is_shown and best is not None else None,
        x_label=run.along,
        is_whole=run.along != "seconds",
        summary=_summary(lines, run.along),
    )


def _summary(lines: Sequence[Line], along: str) -> str:
    """Each line's first and last value, its lowest and its highest, in words."""
    sentences = []
    for line in lines:
        values = [y for _, y in line.points]
        where = "in epoch" if along == "epoch" else f"at {along}"
        epochs = {y: x for x, y in reversed(line.points)}
        low, high = min(values), max(values)
        sentences.append(
            f"{line.name}: from {formats.number(values[0])} to {formats.number(values[-1])}, "
            f"lowest {formats.number(low)} {where} {epochs[low]:,.10g}, "
            f"highest {formats.number(high)} {where} {epochs[high]:,.10g}."
        )
    return " ".join(sentences)
