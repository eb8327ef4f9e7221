"""The curves of all runs of a sweep in one chart for each metric."""

from __future__ import annotations

from dlrun.report.page import formats
from dlrun.report.page.charts.lines import COLORS, Line, LineChart, legend, thin
from dlrun.report.page.charts.parallel import classes_by_rank
from dlrun.report.page.markup import Content, Markup, element, join
from dlrun.report.page.parts import Section, note
from dlrun.report.page.sections.curves import Charts
from dlrun.report.page.sweep_view import SweepRun, SweepView, backend_of
from dlrun.runs.history import NOT_METRICS

MOST_LINES = 300
MOST_CHARTS = 4
ALL_POINTS = 20_000  # of all charts together, which keeps the page small
MANY = 12  # runs, from which on all but the best have thin lines


def overlaid(sweep: SweepView, charts: Charts) -> Section:
    """A chart of the monitored metric, and of others, with the curves of all runs."""
    runs = [run for run in sweep.runs if run.curves][:MOST_LINES]
    logged = dict.fromkeys(name for run in runs for name in run.curves if name not in NOT_METRICS)
    first = [sweep.monitor] if sweep.monitor in logged else []
    others = [name for name in logged if name != sweep.monitor]
    others.sort(key=lambda name: (not name.startswith("val_"), "loss" not in name))
    names = [*first, *others][:MOST_CHARTS]
    if not names and sweep.along != "epoch":
        return Section("curves", "Curves", note(f"No metrics.csv of a run has a {sweep.along}."))
    if not names:
        return Section("curves", "Curves", note("No run has a metrics.csv with a finished epoch."))
    each = max(8, ALL_POINTS // (len(runs) * len(names)))
    looks, meaning = _looks(sweep, runs)
    figures = []
    for place, name in enumerate(names):
        lines = [
            Line(run.label, thin(run.curves[name], each), looks[run.name], run.name)
            for run in reversed(runs)  # the best above the others
            if run.curves.get(name)
        ]
        figures.append(_figure(f"curve-{place}", name, lines, charts, sweep.along))
    parts: list[Content] = [meaning, element("div", figures, class_="grid")]
    if len(sweep.runs) > MOST_LINES:
        parts.append(note(f"The curves of the best {MOST_LINES} runs."))
    return Section("curves", "Curves", join(parts))


def _figure(identifier: str, name: str, lines: list[Line], charts: Charts, along: str) -> Markup:
    best = lines[-1]
    ends = sorted(line.points[-1][1] for line in lines)
    summary = (
        f"{len(lines)} runs. Their last values go from {formats.number(ends[0])} to "
        f"{formats.number(ends[-1])}; {best.name} ends with {formats.number(best.points[-1][1])}."
    )
    chart = LineChart(
        identifier,
        name,
        lines,
        along,
        is_whole=along != "seconds",
        summary=summary,
        has_table=False,
        legend=False,
    )
    figure, data = chart.draw()
    data["lines"].reverse()  # the arrow keys begin with the best
    charts[identifier] = data
    return figure


def _looks(sweep: SweepView, runs: list[SweepRun]) -> tuple[dict[str, str], Content]:
    """How the line of each run looks, and what that means."""
    backends = list(dict.fromkeys(map(backend_of, runs)))
    if 1 < len(backends) <= COLORS:
        patterns = {name: f"c{n} d{n}" for n, name in enumerate(sorted(backends))}
        looks = {run.name: patterns[backend_of(run)] for run in runs}
        meaning: Content = legend(patterns.items())
    else:
        looks = classes_by_rank({run.name: n for n, run in enumerate(runs)}, len(runs))
        meaning = note("The stronger a line, the better the run's place; the best is the thickest.")
    for place, run in enumerate(runs):
        if place == 0:
            looks[run.name] += " best"
        elif len(runs) >= MANY:
            looks[run.name] += " thin"
    return looks, meaning
