"""Results as plain aligned tables, the same in a terminal, a pipe and a file."""

from collections.abc import Mapping, Sequence
from typing import Any

from dlrun.errors import shorten
from dlrun.runs.logged_names import for_people


def table(rows: Sequence[Sequence[str]]) -> str:
    """Align columns with spaces; the first row is the header."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def train_table(result: Mapping[str, Any]) -> str:
    """The metrics of each split, then time and memory."""
    splits = {s: for_people(result[s]) for s in ("train", "validation", "test") if result[s]}
    names = list(splits["test"])
    rows = [["split", *names]]
    rows += [[split, *(_figure(of.get(name)) for name in names)] for split, of in splits.items()]
    seconds = result["seconds"]
    return "\n".join(
        [
            table(rows),
            "",
            f"epoch {result['best_epoch']} of {result['epochs']}, stopped by "
            f"{result['stopped_by']}; {seconds['total']:.1f} s in all, "
            f"{seconds['train']:.1f} s training, {result['examples_per_second']:,.0f} examples/s, "
            f"{result['peak_memory_bytes'] / 1e6:,.0f} MB{_on_device(result)}",
        ]
    )


def verify_resume_lines(result: Mapping[str, Any]) -> str:
    """Whether the runs are equal, and otherwise their differences."""
    compared = f"{result['arrays']} arrays, {result['epochs']} epochs"
    if result["equal"]:
        return f"bit-identical: {compared}; killed {', '.join(result['killed'])}"
    lines = [f"{len(result['differences'])} differences ({compared}); see {result['runs']}"]
    return "\n".join([*lines, *(f"  {difference}" for difference in result["differences"])])


def evaluate_table(result: Mapping[str, Any]) -> str:
    """The metrics of one split."""
    metrics = for_people(result["metrics"])
    head = ["split", "samples", "backend", "checkpoint", *metrics]
    row = [result["split"], f"{result['samples']:,}", result["backend"]]
    which, epoch = result["checkpoint"], f"epoch {result['epoch']}"
    row += [epoch if which == str(result["epoch"]) else f"{which} ({epoch})"]
    return table([head, [*row, *map(_figure, metrics.values())]])


def options_table(options: Mapping[str, Mapping[str, str]]) -> str:
    """Groups, and below each its options with one line of description."""
    width = max(len(option) for listed in options.values() for option in listed)
    lines = []
    for group, listed in options.items():
        lines.append(group)
        lines += [f"  {option:<{width}}  {line}".rstrip() for option, line in listed.items()]
    return "\n".join(lines)


def doctor_table(report: Mapping[str, Any]) -> str:
    """One line per backend, with a fix for problems."""
    rows = [["backend", "status", "version", "devices", ""]]
    for name, backend in report["backends"].items():
        note = backend.get("error") or ("" if backend["trains"] else "evaluate and predict only")
        if "install" in backend:
            note = f"{note}  {backend['install']}".strip()
        devices = ", ".join(backend.get("devices", []))
        rows.append([name, backend["status"], backend.get("version", ""), devices, note])
    keras = next((f["keras"] for f in report["backends"].values() if "keras" in f), None)
    head = f"dlrun {report['dlrun']}, Python {report['python']}"
    head += f", Keras {keras}" if keras else ""
    return f"{head}, {report['cores']} cores, {report['platform']}\n\n{table(rows)}"


def reproduction_line(result: Mapping[str, Any]) -> str:
    """The number of runs, the number that missed their limit, and the path of the table."""
    runs, short = len(result["runs"]), result["not_reached"]
    reached = "all reached their number" if not short else f"{short} did not reach their number"
    return f"{runs} {'runs' if runs > 1 else 'run'}, {reached}: {result['output']}"


def brief(value: str) -> str:
    """A typed value, shortened to four digits if it is a longer number."""
    try:
        number = float(value)
    except ValueError:
        return shorten(value)
    short = f"{number:.4g}"
    return short if len(short) < len(value) and not value.isdecimal() else value


def _on_device(result: Mapping[str, Any]) -> str:
    size = result.get("device_memory_bytes")
    return "" if size is None else f", {size / 1e6:,.0f} MB on the device"


def _figure(values: Sequence[float] | None) -> str:
    return " to ".join(f"{value:.4f}" for value in values or ())
