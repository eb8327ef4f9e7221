"""The head of a sweep's page, and its runs, the best first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from dlrun.report.page import formats
from dlrun.report.page.markup import Content, Markup, element, join
from dlrun.report.page.parts import Cell, Section, facts, note, number_cell, table, tiles
from dlrun.report.page.reading import finite, mapping_at, number_at, text_at
from dlrun.report.page.sweep_view import SweepRun, SweepView, moments
from dlrun.report.sweep import resumed_text
from dlrun.report.tables import brief

MOST_ROWS = 500
MOST_FAILED = 50


def header(sweep: SweepView, reports: frozenset[str]) -> Markup:
    """The name, and how the sweep went."""
    states = Counter(run.status for run in sweep.runs)
    best = sweep.ranked[0] if sweep.ranked else None
    seconds = [number_at(run.record, "seconds", "total") or 0.0 for run in sweep.runs]
    figures = [("runs", str(len(sweep.runs)))]
    figures += [(state or "unknown", str(count)) for state, count in states.most_common()]
    if best:
        figures += [(f"best {sweep.monitor}", formats.number(best.value)), ("best run", best.name)]
    figures.append(("time of all runs", formats.duration(sum(seconds))))
    search = mapping_at(sweep.record, "search")
    parts: list[Content] = [
        element("p", "dlrun report of a sweep", class_="kicker"),
        element("h1", sweep.name),
        tiles(figures),
        facts(
            [
                ("model", text_at(sweep.first, "model")),
                ("data", text_at(sweep.first, "data")),
                ("keys", ", ".join(sweep.keys)),
                ("ranked by", f"{sweep.monitor}, {sweep.mode}"),
                ("search", formats.cut(text_at(search, "sampler"))),
                ("started", formats.when(text_at(sweep.record, "started"))),
            ]
        ),
    ]
    if best and best.name in reports:
        page = element("a", f"page of run {best.name}", href=f"{best.name}/report.html")
        parts.append(element("p", "The best run has a ", page, "."))
    return join(parts)


def leaderboard(sweep: SweepView, reports: frozenset[str]) -> Section:
    """The runs with what distinguishes them and their figures.

    Args:
        sweep: The sweep.
        reports: The names of the runs that have a page of their own.
    """
    tests = sweep.tests
    head = ["place", "run", *_heads(sweep.keys), "best epoch"]
    head += [sweep.monitor, *(f"test {name}" for name in tests)]
    head += ["first step s", "step ms", "MB", *(["device MB"] if sweep.on_device else []), "status"]
    shown = sweep.runs[:MOST_ROWS]
    rows = [_row(sweep, place, run, tests, reports) for place, run in enumerate(shown, 1)]
    parts: list[Content] = [
        table(
            f"Runs by {sweep.monitor}, the best first",
            head,
            rows,
            sortable=True,
            class_="compact",
            row_names=[run.name for run in shown],
        )
    ]
    if len(sweep.runs) > MOST_ROWS:
        left_out = len(sweep.runs) - MOST_ROWS
        parts.append(note(f"{left_out} more runs are in leaderboard.csv."))
    if resumed := [(run.name, run.resumed) for run in sweep.runs if run.resumed]:
        parts.append(note(f"{resumed_text(resumed)}."))
    parts += [_means(sweep, tests), _failed_runs(sweep)]
    return Section("leaderboard", "Leaderboard", join(parts))


def _row(
    sweep: SweepView, place: int, run: SweepRun, tests: list[str], reports: frozenset[str]
) -> list[Content | Cell]:
    record = run.record
    best, epochs = (number_at(record, key) for key in ("best_epoch", "epochs"))
    of = f"{formats.number(best)}/{formats.number(epochs)}" if best is not None else ""
    link = element("a", run.name, href=f"{run.name}/report.html") if run.name in reports else None
    step = number_at(record, "step_seconds")
    first = number_at(record, "seconds", "first_step")
    cells: list[Content | Cell] = [
        number_cell(place, str(place)) if run.value is not None else "",
        Cell(link or run.name, float(run.name)),
    ]
    for key in sweep.keys:
        typed = run.differs.get(key, "")
        cells.append(Cell(formats.cut(brief(typed), 60), finite(typed)))
    cells += [Cell(of, best, "number"), number_cell(run.value, formats.number(run.value))]
    for name in tests:
        value = number_at(record, "test", name)
        cells.append(number_cell(value, formats.number(value)))
    cells.append(number_cell(first, formats.number(first, 2)))
    cells.append(number_cell(step, "" if step is None else f"{step * 1e3:.2f}"))
    for key in ("peak_memory_bytes", *(["device_memory_bytes"] if sweep.on_device else [])):
        memory = number_at(record, key)
        cells.append(number_cell(memory, "" if memory is None else f"{memory / 1e6:.0f}"))
    return [*cells, run.status]


def _heads(keys: Sequence[str]) -> list[str]:
    return [formats.cut(short, 40) for short in formats.short_keys(keys).values()]


def _means(sweep: SweepView, tests: list[str]) -> Content:
    """Means over the seeds or folds, if the runs are repeated."""
    over, groups = sweep.repeats()
    if not over:
        return None
    keys = [key for key in sweep.keys if key not in over]
    rows = []
    for shared, runs in groups[:MOST_ROWS]:
        cells: list[Content | Cell] = [shared.get(key, "") for key in keys]
        cells.append(number_cell(len(runs), str(len(runs))))
        columns = [[run.value for run in runs]]
        columns += [[number_at(run.record, "test", name) for run in runs] for name in tests]
        for values in columns:
            if None in values:
                cells.append("")
                continue
            mean, deviation = moments(values)
            shown = f"{formats.number(mean)} ± {formats.number(deviation)}"
            cells.append(number_cell(mean, shown))
        rows.append(cells)
    head = [*_heads(keys), "runs", sweep.monitor, *(f"test {name}" for name in tests)]
    caption = f"Mean and standard deviation over {' and '.join(over)}, the best mean first"
    return table(caption, head, rows, sortable=True, class_="compact", row_head=bool(keys))


def _failed_runs(sweep: SweepView) -> Content:
    failed = [run for run in sweep.runs if text_at(run.record, "error")]
    if not failed:
        return None
    rows = [
        [run.name, run.label.partition(": ")[2], formats.cut(text_at(run.record, "error"), 300)]
        for run in failed[:MOST_FAILED]
    ]
    return table("Runs that failed", ["run", "values", "error"], rows, class_="compact")
