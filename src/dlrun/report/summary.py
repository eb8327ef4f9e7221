"""Where the parts of a model lie, as ``dlrun summary`` prints it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dlrun.report.tables import table


def layout_table(result: Mapping[str, Any], spread: str) -> str:
    """Each variable's layout and memory, and their sums; slots of an optimizer are like these.

    Args:
        result: Of ``dlrun summary``.
        spread: How the run is spread.
    """
    rows = [["variable", "shape", "layout", "bytes", "on each device"]]
    for row in result["variables"]:
        layout = ", ".join(axis or "-" for axis in row["layout"])
        sizes = (f"{row[key]:,}" for key in ("bytes", "device_bytes"))
        rows.append([row["path"], str(tuple(row["shape"])), layout or "-", *sizes])
    whole, part = result["bytes"], result["device_bytes"]
    share = f"{part / whole:.2f} of {whole:,} bytes" if whole else "no variables"
    return f"{table(rows)}\n\n{spread}: {part:,} bytes on each device, {share}"


# What dlrun.assembly.memory.memory_of_step tells, in words.
PARTS = {
    "weights": "the model's variables",
    "optimizer": "the optimizer's slots",
    "batch": "inputs and targets of {samples:,} samples",
    "step": "activations, gradients and workspace, at their peak",
    "total": "",
    "process": "of a run on this machine at its peak, with Python, the framework and the data",
}


def memory_table(memory: Mapping[str, int | None], samples: int) -> str:
    """The memory of a training step by what it holds.

    Args:
        memory: Bytes; None where the backend does not tell.
        samples: In the largest batch.
    """
    rows = [["memory", "bytes", "of"]]
    for name, what in PARTS.items():
        size = memory[name]
        template = "not told by this backend on this device" if size is None else what
        text = "-" if size is None else f"{size:,}"
        rows.append([name, text, template.format(samples=samples)])
    return table(rows)
