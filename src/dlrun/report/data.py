"""The description of a data set: as tables, and as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from dlrun.data.description.pictures import EACH, Pictures
from dlrun.errors import DlrunError
from dlrun.report.cells import figure, plain
from dlrun.report.tables import table
from dlrun.system.pictures import save_plot

WIDTH = 32  # of an example
SHORT = {"decimal128(38, 0)": "integer", "timestamp[us]": "timestamp", "list<item: string>": "list"}
CLASSES = 20  # listed; the others are counted
PANELS = 36
DAY = 86_400  # seconds


def data_tables(result: Mapping[str, Any]) -> str:
    """Columns, classes, splits, the task, and the notes."""
    rows = [["column", "type", "used as", "missing", "distinct", "range or examples"]]
    for column in result["columns"]:
        rows.append(
            [
                _cut(column["name"]),
                _cut(SHORT.get(column["type"], column["type"])),
                column["kind"],
                f"{column['missing']:,}" if column["missing"] else "",
                _distinct(column),
                _values(column),
            ]
        )
    if all(row[4] == "many" for row in rows[1:]):  # arrays in memory, which are not counted
        rows = [[cell for place, cell in enumerate(row) if place not in (3, 4)] for row in rows]
    parts = [f"{plain(result['source'])}, {result['samples']:,} samples", table(rows)]
    for name, counts in result["classes"].items():
        # Of several classes at once, shares of the samples do not add up to 1.
        several = result["tasks"].get(name) == "multilabel"
        total = (result["samples"] if several else sum(counts.values())) or 1
        shown = list(counts.items())[:CLASSES]
        lines = [[f"classes of {_cut(name)}", "samples", "share"]]
        lines += [[_cut(label), f"{count:,}", f"{count / total:.1%}"] for label, count in shown]
        if len(counts) > CLASSES:
            lines.append([f"and {len(counts) - CLASSES:,} more", "", ""])
        parts.append(table(lines))
    if result["splits"]:
        sizes = ", ".join(f"{size:,} {split}" for split, size in result["splits"].items())
        parts.append(f"splits  {sizes}")
    for name, task in result["tasks"].items():
        parts.append(f"task    {task} of {_cut(name)}")
    parts += [f"note    {plain(note)}" for note in result["notes"]]
    parts += [f"{key}   {plain(str(result[key]))}" for key in ("saved", "plot") if key in result]
    tables = "\n\n".join(part for part in parts if "\n" in part or part is parts[0])
    lines_ = "\n".join(part for part in parts[1:] if "\n" not in part)
    return f"{tables}\n\n{lines_}" if lines_ else tables


def _distinct(column: Mapping[str, Any]) -> str:
    if column["distinct"] is not None:
        return f"{column['distinct']:,}"
    return "many" if column["low"] is not None or column["examples"] else ""  # of structs, none


def _values(column: Mapping[str, Any]) -> str:
    if column["low"] is not None and column["type"] != "string":
        if column["type"].startswith("timestamp"):
            from datetime import UTC, datetime

            low, high = (
                datetime.fromtimestamp(column[end], UTC).strftime("%Y-%m-%d")
                for end in ("low", "high")
            )
            return f"{low} to {high}"
        low, high = (f"{column[end]:.6g}" for end in ("low", "high"))
        return f"{low} to {high}, mean {figure(column['mean'])}"
    values = list(column["counts"]) or column["examples"]
    return ", ".join(_cut(str(value)) for value in values[:3])


def _cut(text: str) -> str:
    text = plain(text)
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 3]}..."


def draw_pictures(pictures: Pictures, path: Path) -> None:
    """Draw a contact sheet: a line of images for each class.

    Args:
        pictures: From :func:`dlrun.data.description.pictures.pictures_of`.
        path: The picture.

    Raises:
        DlrunError: If it can't be written.
    """
    from matplotlib.figure import Figure

    lines = [
        (name if first == 0 else "", images[first : first + EACH])
        for name, images in pictures.items()
        for first in range(0, len(images), EACH)
    ]
    picture = Figure(figsize=(1.1 * EACH + 1.2, 1.15 * len(lines)), layout="constrained")
    panels = picture.subplots(len(lines), EACH, squeeze=False)
    for axes in panels.flat:
        axes.set_axis_off()
    for row, (name, images) in zip(panels, lines, strict=True):
        for axes, image in zip(row, images, strict=False):
            grey = image.shape[2] == 1
            axes.imshow(image[:, :, 0] if grey else image, cmap="gray", vmin=0, vmax=255)
        row[0].text(-0.1, 0.5, _cut(name)[:16], ha="right", va="center", transform=row[0].transAxes)
    save_plot(picture, path)


def draw_data(result: Mapping[str, Any], path: Path) -> None:
    """Draw the distribution of each column: its classes or frequent values, or a histogram.

    Args:
        result: From :func:`dlrun.api.data.describe_data`.
        path: The picture.

    Raises:
        DlrunError: If there is nothing to draw, or it can't be written.
    """
    from matplotlib.figure import Figure

    frequent = {
        c["name"]: result["classes"].get(c["name"]) or c["counts"] for c in result["columns"]
    }
    columns = [c for c in result["columns"] if frequent[c["name"]] or c.get("histogram")][:PANELS]
    if not columns:
        raise DlrunError(
            f"--plot {path}: no column has a distribution",
            hint="leave out --plot; 'dlrun data' lists the columns",
        )
    across = min(4, max(1, len(columns)))
    down = max(1, -(-len(columns) // across))
    picture = Figure(figsize=(3.6 * across, 2.6 * down), layout="constrained")
    panels = list(picture.subplots(down, across, squeeze=False).flat)
    for axes, column in zip(panels, columns, strict=False):
        if not (values := frequent[column["name"]]):
            histogram = column["histogram"]
            edges = histogram["edges"]
            if column["type"].startswith("timestamp"):  # matplotlib counts days
                edges = [edge / DAY for edge in edges]
                axes.xaxis_date()
            widths = [high - low for low, high in pairwise(edges)]
            axes.bar(edges[:-1], histogram["counts"], widths, align="edge")
        else:
            shown = list(values.items())[:10]
            axes.barh([_cut(str(name))[:16] for name, _ in shown], [n for _, n in shown])
            axes.invert_yaxis()
        axes.set_title(f"{_cut(column['name'])} ({column['kind']})", fontsize=9)
        axes.tick_params(labelsize=7)
    for axes in panels[len(columns) :]:
        axes.set_axis_off()
    save_plot(picture, path)
