"""All figures of one output: one object for the screen, the JSON and the CSV files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dlrun.evaluation import classes, curves, numbers
from dlrun.evaluation.form import BINARY, CLASSES, MULTILABEL, NUMBERS
from dlrun.evaluation.outcome import MOST_CLASSES, Outcome
from dlrun.evaluation.table import Table

DIRECTORY = "evaluation"  # of a run
# Of these a JSON object has a list for each column: they have many rows.
COLUMNAR = ("roc", "precision_recall", "calibration")

# The id of a sample, from its number in the split.
Ids = Callable[[int], str | None]


@dataclass(frozen=True)
class Figures:
    """The figures of one output.

    Args:
        kind: As in :class:`dlrun.evaluation.form.Form`.
        positions: The samples, or unmasked steps of sequences, that count.
        summary: Figures over all classes or numbers, by name.
        tables: By the name of their file.
        notes: What is left out, and why.
    """

    kind: str
    positions: int
    summary: Mapping[str, float]
    tables: Mapping[str, Table]
    notes: Sequence[str] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        tables = {
            name: table.columns() if name in COLUMNAR else table.records()
            for name, table in self.tables.items()
        }
        if matrix := self.tables.get("confusion_matrix"):
            counts = [list(row[1:]) for row in matrix.rows]
            tables["confusion_matrix"] = {"classes": list(matrix.header[1:]), "counts": counts}
        return {
            "kind": self.kind,
            "samples": self.positions,
            "summary": dict(self.summary),
            **tables,
            "notes": list(self.notes),
        }

    def write(self, directory: Path) -> None:
        """Write each table as CSV.

        Raises:
            OSError: If one can't be written.
        """
        directory.mkdir(parents=True, exist_ok=True)
        for name, table in self.tables.items():
            table.write(directory / f"{name}.csv")


def figures_of(outcome: Outcome, ids: Ids | None = None) -> Figures:
    """The figures of an output.

    Args:
        outcome: All of a split's positions.
        ids: Names the samples; None if nothing does.
    """
    make = _of_numbers if outcome.form.kind == NUMBERS else _of_classes
    summary, tables, notes = make(outcome)
    if len(outcome.wrong.loss):
        tables["most_wrong"] = _most_wrong(outcome, ids)
    if outcome.unknown:
        notes.append(f"{outcome.unknown:,} labels are no class, and are left out")
    return Figures(outcome.form.kind, outcome.positions, summary, tables, notes)


def write_all(figures: Mapping[str, Figures], directory: Path) -> None:
    """Write the figures of a run; those of several outputs into a folder for each.

    Args:
        figures: By output; a single one is named ``""``.
        directory: Where to write; files that are there are replaced.

    Raises:
        OSError: If a file can't be written.
    """
    for name, of_output in figures.items():
        of_output.write(directory / folder_of(name) if name else directory)


def folder_of(output: str) -> str:
    """An output's name as that of a folder: it can't lead to another place."""
    name = "".join(c if c.isalnum() or c in "-_ ." else "_" for c in output)
    return name if name.strip(". ") else f"_{len(output)}"


Parts = tuple[dict[str, float], dict[str, Table], list[str]]


def _of_classes(outcome: Outcome) -> Parts:
    form, notes = outcome.form, []
    summary = classes.summary(outcome)
    tables = {"per_class": classes.per_class(outcome)}
    if outcome.confusion.size:
        tables["confusion_matrix"] = classes.confusion_matrix(outcome)
    elif form.kind != MULTILABEL:
        notes.append(f"no confusion matrix: of {len(form.names):,} classes, over {MOST_CLASSES:,}")
    if not outcome.is_kept:
        notes.append(_too_large(outcome, "curves"))
    elif len(form.names) > curves.MOST_CLASSES:
        notes.append(f"no curves: of {len(form.names):,} classes, over {curves.MOST_CLASSES}")
    elif outcome.positions and np.isfinite(outcome.scores).all():
        if form.kind == BINARY:
            tables["thresholds"] = classes.threshold_table(outcome)
        of_classes, areas = curves.curve_tables(outcome)
        tables |= of_classes
        summary |= areas
    if form.kind == CLASSES and not outcome.are_probabilities:
        notes.append("the outputs are no probabilities: no calibration")
    return summary, tables, notes


def _of_numbers(outcome: Outcome) -> Parts:
    tables, notes = {"per_target": numbers.per_target(outcome)}, []
    if outcome.is_kept and outcome.positions:
        tables["residuals"] = numbers.residuals(outcome)
        tables["errors_by_size"] = numbers.errors_by_size(outcome)
    elif outcome.positions:
        notes.append(_too_large(outcome, "quantiles"))
    return numbers.summary(outcome), tables, notes


def _too_large(outcome: Outcome, what: str) -> str:
    return f"no {what}: the outputs have {outcome.bytes / 1e6:,.0f} MB, and are not kept"


def _most_wrong(outcome: Outcome, ids: Ids | None) -> Table:
    wrong, form = outcome.wrong, outcome.form
    steps = ("step",) if outcome.has_steps else ()
    several = form.kind == NUMBERS and len(form.names) > 1
    rows: list[tuple[Any, ...]] = []
    for place, sample in enumerate(wrong.sample.tolist()):
        where = (sample, ids(sample) if ids else None, *([int(wrong.step[place])] if steps else []))
        if form.kind == NUMBERS:
            true, found = float(wrong.true[place]), float(wrong.predicted[place])
            column = [form.names[int(wrong.value[place])]] if several else []
            rows.append((*where, *column, true, found, found - true))
            continue
        loss = float(wrong.loss[place]) if outcome.are_probabilities else None
        said = float(wrong.probability[place]) if outcome.are_probabilities else None
        named = [_name(form.names, values[place]) for values in (wrong.true, wrong.predicted)]
        rows.append((*where, *named, said, loss))
    if form.kind == NUMBERS:
        column = ["column"] if several else []
        return Table(("sample", "id", *steps, *column, "target", "predicted", "error"), rows)
    return Table(("sample", "id", *steps, "label", "predicted", "probability", "loss"), rows)


def _name(names: tuple[str, ...], value: Any) -> str:
    several = isinstance(value, np.ndarray)
    return "|".join(names[n] for n in value) if several else names[int(value)]
