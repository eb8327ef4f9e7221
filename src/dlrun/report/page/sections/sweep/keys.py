"""What the values of a sweep's keys do to its metric: parallel coordinates and importance."""

from __future__ import annotations

from dlrun.report.page import formats
from dlrun.report.page.charts.bars import bar
from dlrun.report.page.charts.parallel import Track, classes_by_rank, parallel
from dlrun.report.page.importance import LEAST, UNSET, importances
from dlrun.report.page.markup import Content, join
from dlrun.report.page.parts import Section, note, number_cell, table
from dlrun.report.page.sections.curves import Charts
from dlrun.report.page.sweep_view import SweepView

MOST_AXES = 9
MOST_LINES = 400
MANY = 40  # lines, from which on all but the best are thin


def keys(sweep: SweepView, charts: Charts) -> Section:
    """Parallel coordinates of the runs, and how much each key matters."""
    ranked = sweep.planned
    settings = [run.differs for run in ranked]
    values = [run.value for run in ranked if run.value is not None]
    found = importances(sweep.keys, settings, values, sweep.mode)
    parts: list[Content] = []
    if len(ranked) > 1 and sweep.keys:
        order = [of.key for of in found] + [
            k for k in sweep.keys if k not in {f.key for f in found}
        ]
        shown = [key for key in sweep.keys if key in order[:MOST_AXES]]
        parts.append(_parallel(sweep, shown, charts))
        if len(order) > MOST_AXES:
            parts.append(note(f"The {MOST_AXES} most important keys of {len(order)} have an axis."))
    if found:
        rows = [
            [
                of.key,
                number_cell(of.share, formats.share(of.share)),
                bar(of.share),
                number_cell(of.groups, str(of.groups)),
                formats.cut(of.best, 60),
            ]
            for of in found
        ]
        head = ["key", "explains", "", "values", "best mean rank at"]
        parts.append(table("Importance of each key", head, rows, class_="compact"))
        parts.append(
            note(
                f"The share of the variance of the runs' ranks by {sweep.monitor} that the values "
                "of a key explain alone, adjusted for their number; many numbers are cut into five "
                "equal parts. Interactions of several keys are in no row, and a search that tries "
                "good values more often makes its keys look less important. "
                f"{len(values)} runs."
            )
        )
    else:
        parts.append(note(f"The importance of keys needs {LEAST} runs with different results."))
    return Section("keys", "Keys and their importance", join(parts))


def _parallel(sweep: SweepView, shown: list[str], charts: Charts) -> Content:
    ranked = sweep.planned[:MOST_LINES]
    looks = classes_by_rank({run.name: n for n, run in enumerate(ranked)}, len(ranked))
    tracks = [
        Track(
            run.name,
            f"place {place}, run {run.name}",
            [run.differs.get(key, UNSET) for key in shown],
            value,
            looks[run.name] + (" best" if place == 1 else " thin" if len(ranked) > MANY else ""),
        )
        for place, run in enumerate(ranked, 1)
        if (value := run.value) is not None
    ]
    best = ranked[0]
    summary = (
        f"A line for each of {len(ranked)} runs. The best is {best.label}, with {sweep.monitor} "
        f"{formats.number(best.value)}. The leaderboard has the same values."
    )
    title = f"Parallel coordinates by {sweep.monitor}"
    tracks.reverse()
    below = note("The stronger a line, the better the run's place; the best is the thickest.")
    names = [*formats.short_keys(shown).values(), sweep.monitor]
    figure, charts["parallel"] = parallel("parallel", title, summary, names, tracks, below)
    charts["parallel"]["lines"].reverse()  # the arrow keys begin with the best
    return figure
