"""What ``dlrun bench`` has measured, as lines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dlrun.report import batch_sizes
from dlrun.report.cells import seconds_text
from dlrun.report.tables import table

FEW = 1.2  # a tuned setting is recommended if it is so many times as fast
NOTABLE = 3.0  # a backend is named if it takes so many times as long


def bench_table(result: Mapping[str, Any]) -> str:
    """Training; predictions and settings, or batch sizes; what to use."""
    shown = [row for row in result["rows"] if row["step_seconds"]]
    title = f"{result['model']}, {result['data']}, batches of {result['batch_size']}"
    title += f", {result['precision']}, {result['device']}"
    blocks = [title, table(_training_rows(result["rows"]))]
    searched = any("batch" in row for row in result["rows"])  # in place of other settings
    blocks += [table(_prediction_rows(shown, settings=not searched))] if shown else []
    blocks += [table(batch_sizes.bench_rows(result["rows"]))] if searched else []
    blocks += [f"note   {result['note']}"] if result["note"] else []
    return "\n\n".join([*blocks, result["recommendation"]])


def _training_rows(rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    lines = [["backend", "loop", "start", "first step", "step", "half within", "examples/s", ""]]
    for row in rows:
        line = [row["backend"], row["loop"]]
        line += [seconds_text(row["start_seconds"]), seconds_text(row["first_step_seconds"])]
        if not row["step_seconds"]:
            lines.append([*line, "", "", "", row["error"]])
            continue
        spread = row["step_spread"]
        line += [seconds_text(row["step_seconds"])]
        line += [" to ".join(map(seconds_text, spread)) if spread else ""]
        memory = f"{row['peak_memory_bytes'] / 1e6:,.0f} MB"
        if (on_device := row["device_memory_bytes"]) is not None:
            memory += f", {on_device / 1e6:,.0f} MB on the device"
        line += [f"{row['examples_per_second']:,.0f}", memory]
        lines.append(line)
    return lines


def _prediction_rows(rows: Sequence[Mapping[str, Any]], *, settings: bool) -> list[list[str]]:
    sizes = list(max((row["latency_seconds"] or {} for row in rows), key=len, default={}))
    head = ["backend", "loop", *(f"predict {size}" for size in sizes)]
    lines = [[*head, *(["best settings", ""] if settings else [])]]
    for row in rows:
        latency, tuned = row["latency_seconds"] or {}, row.get("tuned")
        line = [row["backend"], row["loop"], *(seconds_text(latency.get(size)) for size in sizes)]
        if not settings:
            pass
        elif tuned is None:
            line += ["not tried", ""]
        elif tuned["best"]:
            line += [" ".join(tuned["best"]), f"{tuned['gain']:.2f} times as fast"]
        else:
            line += ["those of the config", ""]
        lines.append(line)
    return lines


def member_line(row: Mapping[str, Any]) -> str:
    """A row, once it is measured."""
    name = f"bench  {row['backend']} {row['loop']}:"
    if not row["step_seconds"]:
        return f"{name} {row['error']}"
    return (
        f"{name} {seconds_text(row['step_seconds'])} a step,"
        f" {row['examples_per_second']:,.0f} examples/s"
    )


def recommendation(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What to choose, as overrides, and one line that says so and names what is far slower."""
    if searched := [row for row in rows if (row.get("batch") or {"use": None})["use"]]:
        best = min(searched, key=_sample_seconds)
        found = batch_sizes.conclusion(best["batch"], _member(best))
        use, line = found["use"], found["recommendation"]
        slower = _slower(rows, searched, _sample_seconds, "no batch size was found")
    else:
        measured = [row for row in rows if row["step_seconds"]]
        best = min(measured, key=_tuned_seconds)
        use = _member(best)
        if (best.get("tuned") or {"gain": 0})["gain"] >= FEW:
            use += best["tuned"]["best"]
        line = f"use    {' '.join(use)}: {seconds_text(_tuned_seconds(best))} a step"
        line += "; no batch size was found" if any("batch" in row for row in rows) else ""
        slower = _slower(rows, measured, _tuned_seconds, "not measured")
    return {"use": use, "recommendation": "; ".join([line, *slower])}


def _member(row: Mapping[str, Any]) -> list[str]:
    return [f"backend={row['backend']}", f"loop={row['loop']}"]


def _tuned_seconds(row: Mapping[str, Any]) -> float:
    """Of a step, with other settings if they are worth it."""
    tuned = row.get("tuned") or {"gain": 1.0}
    return float(row["step_seconds"]) / (tuned["gain"] if tuned["gain"] >= FEW else 1.0)


def _sample_seconds(row: Mapping[str, Any]) -> float:
    """Of a sample, in batches of the recommended size."""
    return 1 / float(row["batch"]["examples_per_second"])


def _slower(
    rows: Sequence[Mapping[str, Any]],
    measured: Sequence[Mapping[str, Any]],
    seconds: Callable[[Mapping[str, Any]], float],
    missing: str,
) -> list[str]:
    """The backends whose fastest row takes far longer than the fastest of all, or that lack one."""
    by_backend: dict[str, float] = {}
    for row in sorted(measured, key=seconds):
        by_backend.setdefault(row["backend"], seconds(row))
    least = min(by_backend.values())
    slow = [
        f"{longer / least:.3g} times as long on {backend}"
        for backend, longer in by_backend.items()
        if longer >= NOTABLE * least
    ]
    names = dict.fromkeys(row["backend"] for row in rows)
    return [*slow, *(f"{missing} on {name}" for name in names if name not in by_backend)]
