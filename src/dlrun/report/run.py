"""One run as text."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from dlrun.report.cells import figure, plain, size_text
from dlrun.report.profile import profile_lines, traced_steps
from dlrun.report.sparkline import sparkline
from dlrun.report.tables import table
from dlrun.runs.logged_names import for_people
from dlrun.runs.query import flat, number, text

SPLITS = ("train", "validation", "test")
MOST_CURVES = 12
PARTS = ("choices", "reproduces", "sweep")  # of the config, which the other lines tell


def run_line(name: str, record: Mapping[str, Any]) -> str:
    """A run in one line: its name, its status, and its test metrics."""
    logged = for_people(record.get("test") or {})
    test = "  ".join(f"{plain(name)} {_values(values)}" for name, values in logged.items())
    status = plain(str(record.get("status")))
    return f"<Run {plain(name)}: {status}{f', test {test}' if test else ''}>"


def run_text(result: Mapping[str, Any], *, config: bool = True, width: int = 80) -> str:
    """What was run, its metrics, its curves, its profile, its files and its config.

    Args:
        result: From :func:`dlrun.api.show.show`.
        config: Whether to show the config and the files.
        width: Characters per line, for the curves.
    """
    record = result["record"]
    blocks = [
        *(table(_head(result)), metrics_table(record), _curves(result, width)),
        "\n".join(profile_lines(record)),
    ]
    if config:
        sizes = result["files"]
        files = [[plain(name), size_text(size)] for name, size in sizes.items()]
        values = {k: v for k, v in result["config"].items() if k not in PARTS}
        blocks += [
            "files\n" + _indent(table(files)) if files else "",
            "config\n" + _indent("\n".join(_config_lines(values))),
        ]
    return "\n\n".join(block for block in blocks if block)


def head_values(result: Mapping[str, Any]) -> dict[str, str]:
    """What was run, in words, by title."""
    record = result["record"]
    epochs, best = record.get("epochs"), record.get("best_epoch")
    stopped = record.get("stopped_by")
    facts = {
        "run": result["run_dir"],
        "status": text(record.get("status")) + (f", by {stopped}" if stopped else ""),
        "error": record.get("error"),
        "command": shlex.join(map(str, record.get("command") or ())),
        "model": record.get("model"),
        "data": record.get("data"),
        "backend": f"{text(record.get('backend'))} on {text(record.get('device'))}",
        "loop": record.get("loop"),
        "epochs": f"{epochs}, the best is {best}" if best else text(epochs or 0),
        "started": record.get("started"),
        "seconds": figure((record.get("seconds") or {}).get("total"), 1),
        "memory": _memory(record),
        "trace": traced_steps(record),
        "tags": ", ".join(result["tags"]),
        "note": result["note"],
    }
    return {title: plain(text(value)) for title, value in facts.items() if value}


def _memory(record: Mapping[str, Any]) -> str:
    """The peak of the process, and of the device if that is known."""
    process, device = (number(record.get(f"{of}_memory_bytes")) for of in ("peak", "device"))
    known = [size_text(process), f"{size_text(device)} on the device" if device else ""]
    return ", ".join(filter(None, known))


def metrics_table(record: Mapping[str, Any]) -> str:
    """The metrics of each split; empty before the run has completed."""
    rows = metric_rows(record)
    return table(rows) if rows else ""


def metric_rows(record: Mapping[str, Any]) -> list[list[str]]:
    """The cells of :func:`metrics_table`, its head first."""
    splits = {split: for_people(record.get(split) or {}) for split in SPLITS}
    names = list(dict.fromkeys(name for of in splits.values() for name in of))
    rows = [
        [split, *(_values(of[name]) if name in of else "" for name in names)]
        for split, of in splits.items()
        if of
    ]
    return [["split", *map(plain, names)], *rows] if rows else []


def _values(values: tuple[Any, ...]) -> str:
    return " to ".join(figure(value) for value in values)


def _head(result: Mapping[str, Any]) -> list[list[str]]:
    return [[title, value] for title, value in head_values(result).items()]


def _curves(result: Mapping[str, Any], width: int) -> str:
    curves = result["curves"]
    names = max((len(plain(name)) for name in curves), default=0)
    rows = [
        [plain(name), sparkline(values, max(width - names - 24, 8)), *_ends(values)]
        for name, values in list(curves.items())[:MOST_CURVES]
    ]
    if left := len(curves) - MOST_CURVES:
        rows += [[f"and {left} more", "", ""]] if left > 0 else []
    return table(rows) if rows else ""


def _ends(values: list[float | None]) -> list[str]:
    numbers = [value for value in values if value is not None]
    return [f"{figure(numbers[0])} to {figure(numbers[-1])}"] if numbers else [""]


def _config_lines(values: Mapping[str, Any]) -> list[str]:
    rows = [[plain(key), plain(text(value))] for key, value in flat(values)]
    return table(rows).split("\n") if rows else []


def _indent(block: str) -> str:
    return "\n".join(f"  {line}" for line in block.split("\n"))
