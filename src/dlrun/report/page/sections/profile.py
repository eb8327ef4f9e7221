"""Where the time of a profiled run went, phase by phase, and the steps that were traced."""

from __future__ import annotations

from dlrun.report.page import formats
from dlrun.report.page.charts.bars import bar
from dlrun.report.page.markup import Content, join
from dlrun.report.page.parts import Cell, Section, note, number_cell, table
from dlrun.report.page.run_view import RunView
from dlrun.report.profile import Row, profile_rows, profiled_part, traced_steps

MOST = 20
HEAD = ("phase", "time", "share", "", "count", "each", "in threads beside")


def profile(run: RunView) -> Section | None:
    """What ``profile=simple`` and ``profile=trace`` recorded; None for a run without them."""
    rows = profile_rows(run.record)[:MOST]
    parts: list[Content] = []
    if rows:
        width = len(HEAD) if any(row.beside for row in rows) else len(HEAD) - 1
        cells = [_cells(row)[:width] for row in rows]
        parts.append(table("Profile by phase", HEAD[:width], cells, class_="compact"))
        if part := profiled_part(run.record):
            parts.append(note(f"The profile is {part}."))
    if steps := traced_steps(run.record):
        parts.append(note(f"A trace of {formats.cut(steps)}: open it on https://ui.perfetto.dev"))
    return Section("profile", "Profile", join(parts)) if parts else None


def _cells(row: Row) -> list[Content | Cell]:
    return [
        formats.cut(row.phase, 40),
        number_cell(row.seconds, formats.duration(row.seconds)),
        number_cell(row.share, formats.share(row.share)),
        bar(row.share),
        number_cell(row.count, formats.number(row.count)),
        number_cell(row.each, formats.duration(row.each)),
        number_cell(row.beside, formats.duration(row.beside) if row.beside else ""),
    ]
