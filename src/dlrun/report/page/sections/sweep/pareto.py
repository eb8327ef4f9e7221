"""The Pareto front of a search with several objectives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dlrun.report.page import formats
from dlrun.report.page.charts.lines import Line, LineChart, Point
from dlrun.report.page.markup import Content, element, join
from dlrun.report.page.parts import Section, note, number_cell, table
from dlrun.report.page.reading import list_at, mapping_at, number_at, text_at
from dlrun.report.page.sections.curves import Charts
from dlrun.report.page.sweep_view import SweepView
from dlrun.report.sweep import objective_text
from dlrun.report.tables import brief

MOST_OBJECTIVES = 6
MOST_POINTS = 400
FRONT, OTHERS = "c1 best", "c7"


def pareto(sweep: SweepView, charts: Charts) -> Section | None:
    """A chart of the first objective with each other one, and the runs on the front.

    None for a sweep with one objective.
    """
    entry = mapping_at(sweep.record, "pareto")
    objectives = [o for o in list_at(entry, "objectives") if isinstance(o, Mapping)]
    names = [text_at(objective, "name") for objective in objectives][:MOST_OBJECTIVES]
    front, others = (_complete(list_at(entry, part), names) for part in ("front", "others"))
    if len(names) < 2 or not front:
        return None
    modes = {text_at(o, "name"): text_at(o, "mode") for o in objectives}
    figures = []
    for place, name in enumerate(names[1:], 1):
        identifier = f"pareto-{place}"
        axes = (name, names[0])
        lines = [
            Line(_label(one), [_point(one, axes)], OTHERS, _run(one))
            for one in others[:MOST_POINTS]
        ]
        if len(names) == 2:
            placed = sorted(_point(one, axes) for one in front)
            lines.append(Line("Pareto front", placed, FRONT, _run(front[0])))
        lines += [Line(_label(one), [_point(one, axes)], FRONT, _run(one)) for one in front]
        chart = LineChart(
            identifier,
            f"{names[0]} ({modes[names[0]]}) over {name} ({modes[name]})",
            lines,
            x_label=name,
            is_whole=False,
            has_table=False,
            legend=False,
            summary=f"{len(front)} of {len(front) + len(others)} points are on the front.",
        )
        figure, charts[identifier] = chart.draw()
        figures.append(figure)
    explanation = (
        f"{len(front)} of {len(front) + len(others)} are on the front: no other is as good in every"
    )
    explanation += " objective, and better in one. "
    # A front of three objectives is a surface: in a picture of two, it is not a line.
    explanation += "Those of the front are joined." if len(names) == 2 else "They are coloured."
    parts: list[Content] = [
        element("div", figures, class_="grid"),
        note(explanation),
        _table(sweep, front, names, modes),
    ]
    return Section("pareto", "Pareto front", join(parts))


def _table(
    sweep: SweepView,
    front: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    modes: Mapping[str, str],
) -> Content:
    keys = [k for k in sweep.keys if any(k in mapping_at(one, "differs") for one in front)]
    rows = []
    for one in front[:MOST_POINTS]:
        values = [number_at(one, "values", name) for name in names]
        rows.append(
            [
                _run(one),
                *(formats.cut(brief(text_at(one, "differs", key)), 60) for key in keys),
                *(number_cell(value, objective_text(value or 0.0)) for value in values),
            ]
        )
    short = [formats.cut(key, 40) for key in formats.short_keys(keys).values()]
    head = ["runs", *short, *(f"{name} ({modes[name]})" for name in names)]
    caption = f"The Pareto front, the best {names[0]} first"
    return table(caption, head, rows, sortable=True, class_="compact")


def _complete(entries: Sequence[Any], names: Sequence[str]) -> list[Mapping[str, Any]]:
    """The entries that have a finite value of each objective."""
    return [
        one
        for one in entries
        if isinstance(one, Mapping) and all(number_at(one, "values", n) is not None for n in names)
    ]


def _point(one: Mapping[str, Any], axes: tuple[str, str]) -> Point:
    x, y = (number_at(one, "values", name) or 0.0 for name in axes)
    return x, y


def _run(one: Mapping[str, Any]) -> str:
    """The names of its runs."""
    return ", ".join(str(path).rpartition("/")[2] for path in list_at(one, "run_dirs"))


def _label(one: Mapping[str, Any]) -> str:
    differs = {str(key): str(value) for key, value in mapping_at(one, "differs").items()}
    short = formats.short_keys(list(differs))
    values = ", ".join(f"{short[key]}={brief(value)}" for key, value in differs.items())
    return formats.cut(f"run {_run(one)}: {values}" if values else f"run {_run(one)}", 120)
