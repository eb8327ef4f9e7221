"""The data set of a run: splits, classes and their balance, columns, examples."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from dlrun.report.page import formats
from dlrun.report.page.charts.bars import bar, histogram
from dlrun.report.page.markup import Content, Markup, element, join
from dlrun.report.page.parts import Cell, Section, details, facts, note, number_cell, table
from dlrun.report.page.png import image
from dlrun.report.page.reading import finite, list_at, mapping_at, number_at, text_at
from dlrun.report.page.run_view import RunView
from dlrun.runs import query

MOST_CLASSES, MOST_COLUMNS, MOST_NOTES = 200, 100, 20
MOST_PICTURES = 6  # of a class
SAMPLES = re.compile(r"\w+\((\d+)[,)]")  # in a fingerprint, which begins with dtype and shape


def data(run: RunView) -> Section:
    """What the run was trained on."""
    view = run.data
    parts: list[Content] = [_facts(run)]
    if view.missing:
        parts.append(note(view.missing))
    if view.changed:
        changed = "The data set has changed since the run was trained: this shows how it is now."
        parts.append(element("p", changed, class_="warning"))
    parts += _classes(mapping_at(view.description, "classes"))
    parts += _pictures(run)
    if view.rows:
        caption = f"The first {len(view.rows)} samples of the training split"
        head = [formats.cut(name, 60) for name in view.head]
        parts.append(table(caption, head, view.rows, row_head=False, class_="texts"))
    if columns := [c for c in list_at(view.description, "columns") if isinstance(c, Mapping)]:
        parts.append(_columns(columns))
    notes = [str(line) for line in list_at(view.description, "notes")][:MOST_NOTES]
    if notes:
        parts.append(element("ul", [element("li", line) for line in notes], class_="notes"))
    if prints := mapping_at(run.record, "data_fingerprint"):
        rows = [[split, formats.cut(query.text(of))] for split, of in prints.items()]
        of = table("Fingerprints of the splits", ["split", "dtypes, shapes and hash"], rows)
        parts.append(details("Fingerprints", of))
    return Section("data", "Data", join(parts))


def _facts(run: RunView) -> Content:
    """Which data set it is, its tasks, and the sizes of its splits."""
    description = run.data.description
    splits = {split: finite(size) for split, size in mapping_at(description, "splits").items()}
    splits = splits or _sizes(mapping_at(run.record, "data_fingerprint"))
    tasks = (
        f"{task} of {formats.cut(of, 60)}" for of, task in mapping_at(description, "tasks").items()
    )
    return facts(
        [
            ("data", text_at(run.record, "data")),
            ("path", formats.cut(text_at(mapping_at(run.config, "data"), "path"))),
            ("task", ", ".join(tasks)),
            *((split, f"{formats.number(size)} samples") for split, size in splits.items()),
        ]
    )


def _sizes(fingerprints: Mapping[str, Any]) -> dict[str, float | None]:
    """The sizes of the splits, as recorded."""
    found = {split: SAMPLES.search(query.text(of)) for split, of in fingerprints.items()}
    return {split: float(match[1]) for split, match in found.items() if match}


def _classes(classes: Mapping[str, Any]) -> list[Content]:
    """The balance of the classes of each output."""
    shown: list[Content] = []
    for output, of in list(classes.items())[:20]:
        counts = {name: finite(n) or 0.0 for name, n in of.items()} if isinstance(of, dict) else {}
        total, most = sum(counts.values()), max(counts.values(), default=0)
        if not total:
            continue
        rows = [
            [
                formats.cut(name, 80),
                number_cell(count, formats.number(count)),
                number_cell(count / total, formats.share(count / total)),
                bar(count / most),
            ]
            for name, count in list(counts.items())[:MOST_CLASSES]
        ]
        caption = f"Classes of {formats.cut(output, 80)}: {len(counts)}"
        whole = table(
            caption, ["class", "samples", "share", ""], rows, sortable=True, class_="compact"
        )
        shown.append(whole if len(counts) <= 20 else details(caption, whole))
        least = min(counts.values())
        if least and most / least >= 3:
            shown.append(
                note(
                    f"The largest class has {most / least:.3g} times as many samples as the "
                    "smallest: compare accuracy with the figures of each class."
                )
            )
    return shown


def _pictures(run: RunView) -> list[Content]:
    shown: list[Markup] = []
    for name, images in run.data.pictures.items():
        title = f"class {formats.cut(name, 40)}" if name else "an image"
        pictures = [
            element("li", image(pixels, f"{title}, example {place + 1}"))
            for place, pixels in enumerate(images[: MOST_PICTURES if name else 48])
        ]
        head = element("h4", formats.cut(name, 40)) if name else None
        shown.append(element("div", head, element("ul", pictures, class_="pictures")))
    if not shown:
        return []
    return [element("h3", "Examples"), element("div", shown, class_="gallery")]


def _columns(columns: list[Mapping[str, Any]]) -> Content:
    rows: list[list[Content | Cell]] = []
    for column in columns[:MOST_COLUMNS]:
        missing, distinct = number_at(column, "missing"), number_at(column, "distinct")
        bins = [finite(n) or 0.0 for n in list_at(column, "histogram", "counts")][:100]
        name = formats.cut(text_at(column, "name"), 60)
        rows.append(
            [
                name,
                formats.cut(text_at(column, "type"), 40),
                formats.cut(text_at(column, "kind"), 40),
                number_cell(missing, formats.number(missing)),
                number_cell(distinct, formats.number(distinct)),
                _values(column),
                histogram(
                    bins,
                    f"Distribution of {name}: {len(bins)} bins, the fullest has "
                    f"{formats.number(max(bins, default=0))}",
                ),
            ]
        )
    head = ["column", "type", "used as", "missing", "distinct", "values", "distribution"]
    shown = [n for n in range(len(head)) if any(not _is_empty(row[n]) for row in rows)]
    rows = [[row[n] for n in shown] for row in rows]
    heads = [head[n] for n in shown]
    return table("Columns", heads, rows, sortable=True, class_="compact")


def _is_empty(cell: Content | Cell) -> bool:
    content = cell.content if isinstance(cell, Cell) else cell
    return content is None or content == ""


def _values(column: Mapping[str, Any]) -> str:
    low, high, mean = (number_at(column, key) for key in ("low", "high", "mean"))
    kind = text_at(column, "type")
    if low is not None and high is not None and kind.startswith("timestamp"):
        return f"{formats.day(low)} to {formats.day(high)}"
    if low is not None and high is not None and kind != "string":
        limits = f"{formats.number(low)} to {formats.number(high)}"
        return f"{limits}, mean {formats.number(mean)}" if mean is not None else limits
    values = list(mapping_at(column, "counts")) or [
        query.text(v) for v in list_at(column, "examples")
    ]
    return ", ".join(formats.cut(str(v), 40) for v in values[:3])
