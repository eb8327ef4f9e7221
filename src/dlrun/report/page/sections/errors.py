"""The samples that a run got most wrong."""

from __future__ import annotations

import numpy as np

from dlrun.report.page import formats
from dlrun.report.page.markup import Content, element, join
from dlrun.report.page.parts import Cell, Section, note, number_cell, table
from dlrun.report.page.png import image
from dlrun.report.page.reading import Rows, finite
from dlrun.report.page.run_view import RunView

MOST = 20


def errors(run: RunView) -> Section | None:
    """The samples that it got most wrong, with their images where they have some."""
    parts: list[Content] = []
    for output, of in run.evaluations.items():
        if rows := of.tables.get("most_wrong"):
            parts += [element("h3", f"Output {formats.cut(output, 80)}")] if output else []
            parts.append(_most_wrong(run, rows[:MOST]))
    if not parts:
        return None
    parts.append(
        note("Look at them for wrong labels and for what the training data lack, the worst first.")
    )
    return Section("errors", "Errors to look at", join(parts))


def _most_wrong(run: RunView, rows: Rows) -> Content:
    columns = [name for name in rows[0] if name != "sample" and any(row.get(name) for row in rows)]
    texts = ("id", "label", "predicted") if "label" in columns else ("id",)  # names of classes
    has_images = any(_image_of(run, row) is not None for row in rows)
    wrong_texts = run.data.wrong_texts
    has_texts = any(row.get("id") in wrong_texts for row in rows)
    body = []
    for row in rows:
        sample = finite(row.get("sample"))
        cells: list[Content | Cell] = [number_cell(sample, formats.number(sample))]
        if has_images:
            pixels = _image_of(run, row)
            label, predicted = row.get("label", ""), row.get("predicted", "")
            text = f"sample {formats.number(sample)}, labelled {label}, predicted {predicted}"
            cells.append(None if pixels is None else image(pixels, formats.cut(text)))
        for name in columns:
            value = None if name in texts else finite(row.get(name))
            shown = formats.cut(row.get(name, ""), 120)
            cells.append(number_cell(value, formats.number(value)) if value is not None else shown)
        cells += [formats.cut(wrong_texts.get(row.get("id", ""), ""), 300)] if has_texts else []
        body.append(cells)
    head = ["sample", *(["image"] if has_images else []), *columns]
    head += ["values"] if has_texts else []
    return table("The samples that it got most wrong", head, body, sortable=True, class_="compact")


def _image_of(run: RunView, row: dict[str, str]) -> np.ndarray | None:
    sample = finite(row.get("sample"))
    return None if sample is None else run.data.wrong.get(int(sample))
