"""What ``dlrun bench`` has measured, as lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dlrun.report.tables import table

FEW = 1.2  # a tuned setting is recommended if it is so many times as fast
NOTABLE = 3.0  # a backend is named if it takes so many times as long


def bench_table(result: Mapping[str, Any]) -> str:
    """Training, then predictions and settings: a row for each backend and loop; what to use."""
    shown = [row for row in result["rows"] if row["step_seconds"]]
    title = f"{result['model']}, {result['data']}, batches of {result['batch_size']}"
    title += f", {result['precision']}, {result['device']}"
    blocks = [title, table(_training_rows(result["rows"])), table(_prediction_rows(shown))]
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
        line += [f"{row['examples_per_second']:,.0f}", f"{row['peak_memory_bytes'] / 1e6:,.0f} MB"]
        lines.append(line)
    return lines


def _prediction_rows(rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    sizes = list(max((row["latency_seconds"] or {} for row in rows), key=len, default={}))
    lines = [["backend", "loop", *(f"predict {size}" for size in sizes), "best settings", ""]]
    for row in rows:
        latency, tuned = row["latency_seconds"] or {}, row.get("tuned")
        line = [row["backend"], row["loop"], *(seconds_text(latency.get(size)) for size in sizes)]
        if tuned is None:
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
    measured = [row for row in rows if row["step_seconds"]]

    def tuned_seconds(row: Mapping[str, Any]) -> float:
        tuned = row.get("tuned") or {"gain": 1.0}
        return float(row["step_seconds"]) / (tuned["gain"] if tuned["gain"] >= FEW else 1.0)

    best = min(measured, key=tuned_seconds)
    use = [f"backend={best['backend']}", f"loop={best['loop']}"]
    if (best.get("tuned") or {"gain": 0})["gain"] >= FEW:
        use += best["tuned"]["best"]
    seconds = tuned_seconds(best)
    by_backend: dict[str, float] = {}
    for row in sorted(measured, key=tuned_seconds):
        by_backend.setdefault(row["backend"], tuned_seconds(row) / seconds)
    slow = [
        f"{ratio:.3g} times as long on {backend}"
        for backend, ratio in by_backend.items()
        if ratio >= NOTABLE and backend != best["backend"]
    ]
    slow += [
        f"not measured on {name}"
        for name in dict.fromkeys(row["backend"] for row in rows)
        if name not in by_backend
    ]
    line = f"use    {' '.join(use)}: {seconds_text(seconds)} a step"
    return {"use": use, "recommendation": "; ".join([line, *slow])}


def seconds_text(value: float | None) -> str:
    """Seconds in the unit that suits them; empty for None."""
    if value is None:
        return ""
    if value >= 1:
        return f"{value:.3g} s"
    return f"{value * 1e3:.3g} ms" if value >= 1e-3 else f"{value * 1e6:.3g} us"
