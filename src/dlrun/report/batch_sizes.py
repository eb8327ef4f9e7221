"""The batch sizes that were measured, as lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dlrun.report.cells import seconds_text, size_text
from dlrun.report.tables import table

ENOUGH = 0.95  # of the most examples per second: the smallest batch that reaches it is recommended


def sizes_text(result: Mapping[str, Any]) -> str:
    """A row for each batch size, and what to use."""
    title = f"{result['model']}, {result['data']}, {result['optimizer']}, {result['backend']}"
    title += f" {result['loop']}, {result['precision']}, {result['device']}"
    blocks = [title, table(_table_rows(result["rows"]))]
    blocks += [f"note   {result['note']}"] if result["note"] else []
    return "\n\n".join([*blocks, result["recommendation"]])


def size_line(row: Mapping[str, Any]) -> str:
    """A row, once it is measured."""
    if not row["fits"]:
        return f"batch  {row['batch_size']}: {row['error']}"
    return (
        f"batch  {row['batch_size']}: {seconds_text(row['step_seconds'])} a step,"
        f" {row['examples_per_second']:,.0f} examples/s, {size_text(memory_of(row))}"
    )


def memory_of(row: Mapping[str, Any]) -> int:
    """The peak on the device, or of the process on a CPU."""
    return int(row["device_memory_bytes"] or row["peak_memory_bytes"])


def conclusion(found: Mapping[str, Any], chosen: Sequence[str] = ()) -> dict[str, Any]:
    """The largest, the fastest and the recommended size, and one line that says so.

    Args:
        found: ``rows`` by ascending size, and what bounds them.
        chosen: Overrides to use with the recommended size.

    Returns:
        ``largest``, ``fastest``; ``use``, the overrides, and their ``examples_per_second``; and the
        line as ``recommendation``.
    """
    rows = [row for row in found["rows"] if row["fits"]]
    fastest = max(rows, key=lambda row: float(row["examples_per_second"]))
    most = fastest["examples_per_second"]
    enough = next(row for row in rows if row["examples_per_second"] >= ENOUGH * most)
    largest = rows[-1]["batch_size"]
    use = [*chosen, f"batch_size={enough['batch_size']}"]
    notes = [f"use    {' '.join(use)}: {enough['examples_per_second']:,.0f} examples/s"]
    if enough is not fastest:
        notes[0] += f", at least {ENOUGH:.0%} of the most, {most:,.0f} with {fastest['batch_size']}"
    notes.append(f"the largest that fits is {largest}, {_why(found)}")
    return {
        "largest": largest,
        "fastest": fastest["batch_size"],
        "use": use,
        "examples_per_second": enough["examples_per_second"],
        "recommendation": "; ".join(notes),
    }


def bench_rows(rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """The cells of what ``dlrun bench --batch`` has found, a row for each backend and loop."""
    head = [
        "backend",
        "loop",
        "largest that fits",
        "memory",
        "fastest",
        "examples/s",
        "recommended",
    ]
    lines = [[*head, "examples/s", ""]]
    for row in rows:
        if (found := row.get("batch")) is None:
            continue
        line = [row["backend"], row["loop"]]
        if not found["use"]:
            lines.append([*line, "", "", "", "", "", "", found["error"]])
            continue
        measured = {one["batch_size"]: one for one in found["rows"]}
        largest, fastest = measured[found["largest"]], measured[found["fastest"]]
        line += [str(found["largest"]), size_text(memory_of(largest)), str(found["fastest"])]
        line += [f"{fastest['examples_per_second']:,.0f}", found["use"][-1].partition("=")[2]]
        lines.append([*line, f"{found['examples_per_second']:,.0f}", _why(found)])
    return lines


def _why(found: Mapping[str, Any]) -> str:
    return {
        "max": f"by --max {found['max']}",
        "data": f"as the training set has {found['train_samples']:,} samples",
        "time": "of those that were tried in time",
        "memory": "as more runs out of memory",
    }.get(found["stopped_by"], "as more fails")


def _table_rows(rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    lines = [["batch", "first step", "step", "half within", "examples/s", "memory"]]
    for row in rows:
        size = str(row["batch_size"])
        if not row["fits"]:
            lines.append([size, "", "", "", "", str(row["error"])])
            continue
        lines.append(
            [
                size,
                seconds_text(row["first_step_seconds"]),
                seconds_text(row["step_seconds"]),
                " to ".join(map(seconds_text, row["step_spread"] or ())),
                f"{row['examples_per_second']:,.0f}",
                size_text(memory_of(row)),
            ]
        )
    return lines
