"""The batch sizes that were measured, as lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dlrun.report.bench import seconds_text
from dlrun.report.run import size_text
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


def conclusion(found: Mapping[str, Any]) -> dict[str, Any]:
    """The largest, the fastest and the recommended size, and one line that says so.

    Args:
        found: ``rows`` by ascending size, and what bounds them.
    """
    rows = [row for row in found["rows"] if row["fits"]]
    fastest = max(rows, key=lambda row: float(row["examples_per_second"]))
    most = fastest["examples_per_second"]
    chosen = next(row for row in rows if row["examples_per_second"] >= ENOUGH * most)
    largest = rows[-1]["batch_size"]
    use = f"batch_size={chosen['batch_size']}"
    notes = [f"use    {use}: {chosen['examples_per_second']:,.0f} examples/s"]
    if chosen is not fastest:
        notes[0] += f", at least {ENOUGH:.0%} of the most, {most:,.0f} with {fastest['batch_size']}"
    notes.append(f"the largest that fits is {largest}, {_why(found)}")
    return {
        "largest": largest,
        "fastest": fastest["batch_size"],
        "use": [use],
        "recommendation": "; ".join(notes),
    }


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
