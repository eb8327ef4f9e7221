"""The table of ``dlrun export``: how an exported file compares with its run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dlrun.report.cells import size_text
from dlrun.report.tables import table


def export_table(result: Mapping[str, Any]) -> str:
    """What was written, and a row for each precision that it was run in."""
    lines = [
        f"{result['format']} in {result['runtime']}, written by {result['written_by']}, compared"
        f" with {result['compared_with']} on {result['samples']:,} samples",
        f"inputs   {_signature(result['inputs'])}",
        f"outputs  {_signature(result['outputs'])}",
        "",
        table(check_rows(result["checks"])),
    ]
    lines += ["", *(f"note: {note}" for note in result["notes"])] if result["notes"] else []
    if result["output"]:
        lines += ["", f"written to {result['output']}, described in {result['card']}"]
    return "\n".join(lines)


def check_rows(checks: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """The rows of the table, with a header."""
    sizes = list(checks[0]["milliseconds"]) if checks else []
    metrics = list(checks[0].get("metrics", {}))
    head = ["precision", "difference", "same class", *(f"ms, batch {size}" for size in sizes)]
    rows = [[*head, "size", *metrics, ""]]
    for check in checks:
        mode = "" if check["mode"] == "float32" else f", {check['mode']}"
        gap, same = check["difference"], check["agreement"]
        rows.append(
            [
                f"{check['precision']}{mode}",
                "-" if gap is None else f"{gap:.1e}",
                "-" if same is None else f"{100 * same:.2f}%",
                *(f"{check['milliseconds'][size]:.3f}" for size in sizes),
                size_text(check["bytes"]),
                *(f"{value:.4f}" for value in check.get("metrics", {}).values()),
                _verdict(check),
            ]
        )
    return rows


def _verdict(check: Mapping[str, Any]) -> str:
    if check["passed"]:
        return "ok"
    return check["problem"] or f"beyond {check['tolerance']:g}"


def _signature(entries: Sequence[Mapping[str, Any]]) -> str:
    parts = []
    for entry in entries:
        shape = ["batch", *(str(size) for size in entry["shape"] if size is not None)]
        kind = entry.get("dtype") or entry.get("activation") or "numbers"
        parts.append(f"{entry['name']} ({', '.join(shape)}) {kind}")
    return ", ".join(parts)
