"""Report how far backends or loops differ: as a table and as plots."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dlrun.report.tables import table

if TYPE_CHECKING:
    import numpy as np

WIDTH = 80


def parity_table(result: Mapping[str, Any]) -> str:
    """A column per backend or loop, a row per comparison, and the tolerance.

    The reference's column has values, the others have differences from the reference.
    """
    members, steps, tolerance = result["members"], result["steps"], result["tolerance"]
    parts = (f"{part} {result[part]}" for part in ("backend", "loop") if part in result)
    where = ", ".join(parts)
    head = f"{result['model']}, {where}, {result['precision']}, batches of {result['batch_size']}"
    rows = [["", *members, "tolerance"]]
    for key in ("version", "device"):
        rows.append([key, *(member[key] for member in members.values()), ""])
    initial, final = (result["metrics"][when] for when in ("initial", "final"))
    rows.append(["initial weights", *[""] * (len(members) + 1)])
    rows.append(_row(result, "predictions", result["predictions"]))
    rows += [_row(result, f"test {name}", entry) for name, entry in initial.items()]
    rows.append([f"{steps['count']} steps", *[""] * (len(members) + 1)])
    rows += _steps(result)
    rows += [_row(result, f"test {name}", entry) for name, entry in final.items()]
    notes = [f"tolerance {tolerance['steps']:.0e}, {tolerance['why']}", *result["notes"]]
    below = [textwrap.fill(line, WIDTH, break_long_words=False) for line in notes]
    head = f"{head}: differences from {result['reference']}"
    return "\n".join([head, "", table(rows), "", *below])


def draw(
    result: Mapping[str, Any],
    losses: Mapping[str, Sequence[float]],
    distances: Mapping[str, np.ndarray],
) -> Any:
    """Plot all curves in one panel, and their differences from the reference in another.

    Args:
        result: The result of ``dlrun parity``.
        losses: The loss of each step, by backend or loop.
        distances: Relative differences from the reference, ``(steps,)``, by backend or loop.

    Returns:
        A ``matplotlib.figure.Figure``.
    """
    from matplotlib.figure import Figure

    reference, tolerance, gated = (
        result["reference"],
        result["tolerance"]["steps"],
        result["tolerance"]["gated"],
    )
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    curves, differences = figure.subplots(1, 2)
    numbers = range(1, result["steps"]["count"] + 1)
    # The curves overlap: the first is the widest and palest, later ones are dashed on top.
    styles: list[dict[str, Any]] = [
        {"linewidth": 5, "alpha": 0.3},
        {"linewidth": 2},
        {"linewidth": 2, "linestyle": "--"},
    ]
    for number, (name, values) in enumerate(losses.items()):
        curves.plot(numbers, values, label=name, **styles[min(number, 2)])
    for number, (name, distance) in enumerate(distances.items(), 1):
        label = name if distance.any() else f"{name}: none"
        positive = [value if value > 0 else float("nan") for value in distance]  # for the log scale
        differences.plot(numbers, positive, "o-", markersize=3, color=f"C{number}", label=label)
    span = (0.5, gated + 0.5)
    differences.plot(span, (tolerance, tolerance), color="black", label=f"tolerance {tolerance:g}")
    differences.set_yscale("log")
    curves.set_title(f"{result['model']}: loss of each step")
    differences.set_title(f"relative difference from {reference}")
    for axes in (curves, differences):
        axes.set_xlabel("step")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend()
    return figure


def _steps(result: Mapping[str, Any]) -> Iterator[list[str]]:
    steps, gated = result["steps"], result["steps"]["gated"]
    ungated = gated < steps["count"]
    yield _row(result, f"loss of steps 1-{gated}" if ungated else "loss of each", steps)
    largest = {name: entry["difference"] for name, entry in steps["largest"].items()}
    if ungated:
        yield _row(result, "loss of each", {"differences": largest, "tolerance": None})
    at = {name: str(entry["step"] or "") for name, entry in steps["largest"].items()}
    yield ["    largest at step", *(at.get(name, "") for name in result["members"]), ""]
    beyond = {
        n: "never" if step is None else str(step) for n, step in steps["first_beyond"].items()
    }
    yield ["    beyond at step", *(beyond.get(name, "") for name in result["members"]), ""]


def _row(result: Mapping[str, Any], label: str, entry: Mapping[str, Any]) -> list[str]:
    cells = []
    for name in result["members"]:
        if name == result["reference"]:
            value = entry.get("values", {}).get(name)
            cells.append("" if value is None else f"{value:.4f}")
        elif name not in entry["differences"]:
            cells.append("-")
        else:
            difference = entry["differences"][name]
            cell = "nan" if difference is None else f"{difference:.1e}" if difference else "0"
            cells.append(cell + (" !" if name in entry.get("beyond", ()) else ""))
    tolerance = entry["tolerance"]
    return [f"  {label}", *cells, "none" if tolerance is None else f"{tolerance:.1e}"]
