"""The backends of a sweep side by side."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from statistics import median

from dlrun.report.page import formats
from dlrun.report.page.markup import Content, join
from dlrun.report.page.parts import Cell, Section, note, number_cell, table
from dlrun.report.page.reading import number_at
from dlrun.report.page.sweep_view import SweepRun, SweepView, backend_of

MOST_GROUPS = 100


def backends(sweep: SweepView) -> Section | None:
    """Results and speed by backend; None for a sweep on one backend."""
    by_backend: dict[str, list[SweepRun]] = defaultdict(list)
    for run in sweep.ranked:
        by_backend[backend_of(run)].append(run)
    if len(by_backend) < 2:
        return None
    names = sorted(by_backend)
    rows: list[list[Content | Cell]] = [_row("runs", [float(len(by_backend[n])) for n in names])]
    best = max if sweep.mode == "max" else min
    values = {n: [run.value for run in by_backend[n] if run.value is not None] for n in names}
    rows.append(_row(f"best {sweep.monitor}", [best(values[n]) for n in names]))
    rows.append(_row(f"median {sweep.monitor}", [_median(values[n]) for n in names]))
    columns: list[tuple[str, tuple[str, ...], float]] = [
        *((f"median test {name}", ("test", name), 1.0) for name in sweep.tests),
        ("median seconds of a run", ("seconds", "total"), 1.0),
        ("median first step, ms", ("seconds", "first_step"), 1e3),
        ("median step, ms", ("step_seconds",), 1e3),
        ("median examples per second", ("examples_per_second",), 1.0),
        ("median peak memory, MB", ("peak_memory_bytes",), 1e-6),
    ]
    if sweep.on_device:
        columns.append(("median peak memory on the device, MB", ("device_memory_bytes",), 1e-6))
    for title, keys, factor in columns:
        found = [_median([number_at(run.record, *keys) for run in by_backend[n]]) for n in names]
        is_metric = keys[0] == "test"
        rows.append(_row(title, [None if v is None else v * factor for v in found], is_metric))
    head = ["", *names]
    parts: list[Content] = [table("Backends side by side", head, rows, class_="compact")]
    parts.append(_pairs(sweep, names))
    return Section("backends", "Backends side by side", join(parts))


def _median(values: Iterable[float | None]) -> float | None:
    """The median of the values that there are; None without one."""
    numbers = [value for value in values if value is not None]
    return median(numbers) if numbers else None


def _row(title: str, values: list[float | None], is_metric: bool = True) -> list[Content | Cell]:
    shown = formats.number if is_metric else formats.brief
    return [title, *(number_cell(value, shown(value)) for value in values)]


def _pairs(sweep: SweepView, names: list[str]) -> Content:
    """The metric of runs that differ in their backend alone."""
    groups: dict[tuple[tuple[str, str], ...], dict[str, float]] = defaultdict(dict)
    for run in sweep.ranked:
        shared = tuple((k, v) for k, v in run.differs.items() if k != "backend")
        if run.value is not None:
            groups[shared].setdefault(backend_of(run), run.value)
    rows, largest = [], 0.0
    for shared, values in groups.items():
        if len(values) < 2:
            continue
        spread = max(values.values()) - min(values.values())
        largest = max(largest, spread)
        cells: list[Content | Cell] = [", ".join(f"{k}={v}" for k, v in shared) or "all"]
        cells += [number_cell(values.get(n), formats.number(values.get(n))) for n in names]
        rows.append([*cells, number_cell(spread, formats.number(spread))])
    if not rows:
        return note("No runs differ in their backend alone.")
    caption = f"{sweep.monitor} of runs that differ in their backend alone"
    head = ["values", *names, "difference"]
    whole = table(caption, head, rows[:MOST_GROUPS], sortable=True, class_="compact")
    explanation = (
        f"The largest difference between backends is {formats.number(largest)}. Initial weights "
        "are drawn by each backend's own generator; dlrun parity compares from equal weights."
    )
    return join([whole, note(explanation)])
