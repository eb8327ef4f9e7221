"""Time and memory of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dlrun.report.cells import size_text
from dlrun.report.page import formats
from dlrun.report.page.charts.bars import bar
from dlrun.report.page.charts.lines import Line, LineChart
from dlrun.report.page.markup import Content, Markup, element, join
from dlrun.report.page.parts import Cell, Section, facts, note, number_cell, table
from dlrun.report.page.reading import mapping_at, number_at
from dlrun.report.page.run_view import RunView
from dlrun.report.page.sections.curves import Charts

# Phases that follow one another; the first step is a part of training.
PHASES = ("startup", "train", "evaluate")


def timings(run: RunView, charts: Charts) -> Section:
    """How long each phase took, the steady rate, and the memory."""
    rows = _phases(mapping_at(run.record, "seconds"))
    parts: list[Content] = [_facts(run.record)]
    if rows:
        parts.append(table("Time by phase", ["phase", "time", "share", ""], rows, class_="compact"))
        parts.append(
            note("Rates are of steady training, without the first steps, which compile the model.")
        )
    epochs = run.curves.get("seconds", [])
    if len(epochs) > 1:
        slowest = max(epochs, key=lambda point: point[1])
        chart = LineChart(
            "epoch-seconds",
            "seconds of each epoch",
            [Line("seconds", epochs)],
            summary=f"{len(epochs)} epochs, the slowest is epoch {slowest[0]:g} with "
            f"{formats.duration(slowest[1])}.",
        )
        figure, charts[chart.identifier] = chart.draw()
        parts.append(element("div", figure, class_="grid"))
    if not rows and not epochs:
        parts.append(note("Times are recorded when training ends."))
    return Section("timings", "Time and memory", join(parts))


def _facts(record: Mapping[str, Any]) -> Markup:
    memory, device = (
        size_text(number_at(record, f"{of}_memory_bytes")) for of in ("peak", "device")
    )
    return facts(
        [
            ("in all", formats.duration(number_at(mapping_at(record, "seconds"), "total"))),
            ("examples per second", formats.brief(number_at(record, "examples_per_second"))),
            ("one step", formats.duration(number_at(record, "step_seconds"))),
            ("peak memory of the process", memory),
            ("peak memory on the device", device),
        ]
    )


def _phases(seconds: Mapping[str, Any]) -> list[list[Content | Cell]]:
    """A row for each phase that was measured: its time and its share."""
    total = number_at(seconds, "total")
    rows: list[list[Content | Cell]] = []
    for name in (*PHASES, "first_step"):
        spent = number_at(seconds, name)
        if spent is None:
            continue
        title = "first step, within train" if name == "first_step" else name
        part = spent / total if total else None
        share = number_cell(part, "" if part is None else formats.share(part))
        rows.append([title, number_cell(spent, formats.duration(spent)), share, bar(part)])
    return rows
