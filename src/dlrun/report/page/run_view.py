"""What a page shows of a run, as it was read from the run's directory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from dlrun.checkpoints.store import STATE, checkpoint_path, list_positions
from dlrun.report.page.reading import (
    Rows,
    finite,
    list_at,
    mapping_at,
    read_mapping,
    read_rows,
    read_table,
    text_at,
)
from dlrun.runs.directory import MODEL, RunDir
from dlrun.runs.history import NOT_METRICS, read_curves
from dlrun.runs.metric_direction import direction
from dlrun.runs.status import current_status, too_deep
from dlrun.system.files import is_dir

EVALUATION = "evaluation"
# The tables of an evaluation, one file each.
TABLES = (
    "per_class", "per_target", "thresholds", "roc", "precision_recall", "calibration", "residuals",
    "errors_by_size", "most_wrong",
)  # fmt: skip
CONFUSION = "confusion_matrix"
MAX_OUTPUTS = 20

Curves = Mapping[str, list[tuple[float, float]]]
Image = np.ndarray  # (height, width, 1 or 3) uint8


@dataclass(frozen=True)
class DataView:
    """What the page shows of the data set, if it could be read.

    Args:
        description: A :class:`dlrun.data.source.Description` as a mapping.
        pictures: Images by class.
        head: The names of the columns of ``rows``.
        rows: The first samples, for data that are not images.
        wrong: The images of the samples that were got most wrong, by their number.
        wrong_texts: What a table has of them, by their ids.
        missing: Why there is nothing of all this; empty if there is.
        changed: Whether the data set is no longer the one that the run was trained on.
    """

    description: Mapping[str, Any] = field(default_factory=dict)
    pictures: Mapping[str, Sequence[Image]] = field(default_factory=dict)
    head: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    wrong: Mapping[int, Image] = field(default_factory=dict)
    wrong_texts: Mapping[str, str] = field(default_factory=dict)
    missing: str = ""
    changed: bool = False


@dataclass(frozen=True)
class Confusion:
    """A confusion matrix.

    Args:
        predicted: The names of the columns' classes.
        true: The names of the rows' classes.
        counts: Of each row, one for each column.
    """

    predicted: Sequence[str]
    true: Sequence[str]
    counts: Sequence[Sequence[float]]


@dataclass(frozen=True)
class Evaluation:
    """The figures of one output: its tables, by the names of their files, and its confusion."""

    tables: Mapping[str, Rows]
    confusion: Confusion | None


@dataclass(frozen=True)
class RunView:
    """A run.

    Args:
        path: Its directory, as the user names it.
        name: Its short name.
        record: Its ``run.json``, with its current status.
        config: Its config, of any types.
        curves: Each column of ``metrics.csv``, as points ``(epoch, value)``.
        model: Its ``model.json``, or what its newest checkpoint says of its layers; may be empty.
        evaluations: The figures of each output; a single output is called ``""``.
        data: Its data set.
        along: What charts of its curves have along their axis, one of
            :data:`dlrun.runs.history.PLACES`.
    """

    path: Path
    name: str
    record: Mapping[str, Any]
    config: Mapping[str, Any]
    curves: Curves
    model: Mapping[str, Any]
    evaluations: Mapping[str, Evaluation]
    data: DataView
    along: str = "epoch"

    def points(self, name: str) -> list[tuple[float, float]]:
        """A curve as points along the axis of the charts."""
        return [
            (place, value)
            for epoch, value in self.curves.get(name, [])
            if (place := self.place_of(epoch)) is not None
        ]

    def place_of(self, epoch: float) -> float | None:
        """Where an epoch lies along that axis; None if ``metrics.csv`` does not tell."""
        return epoch if self.along == "epoch" else self._places.get(epoch)

    @cached_property
    def _places(self) -> dict[float, float]:
        epochs = read_curves(self.path, self.along).get("epoch", [])
        return {epoch: place for place, epoch in epochs}

    @property
    def metrics(self) -> list[str]:
        """The names of what an epoch logs, the loss first, without those of validation."""
        logged = [name for name in self.curves if name not in NOT_METRICS]
        names = dict.fromkeys(name.removeprefix("val_") for name in logged)
        return sorted(names, key=lambda name: name != "loss")

    @property
    def best_epoch(self) -> int | None:
        """The epoch whose weights were evaluated."""
        best = finite(self.record.get("best_epoch"))
        return None if best is None else int(best)

    def direction(self, metric: str) -> str | None:
        """Whether a metric is better when ``max`` or ``min``; None if it is unknown."""
        specs = mapping_at(self.config, "task", "metrics")
        targets = {name: text_at(spec, "_target_") for name, spec in specs.items()}
        return direction(metric, targets)


def read_run(run: RunDir, name: str, data: DataView, by: str = "epoch") -> RunView:
    """Read what a page needs of a run; what is damaged is left out.

    Args:
        run: The run.
        name: What to call it.
        data: Its data set.
        by: See :attr:`RunView.along`.
    """
    record = {} if too_deep(run.record) else run.record | current_status(run.path, run.record)
    return RunView(
        path=run.path,
        name=name,
        record=record,
        config=mapping_at(record, "config"),
        curves=read_curves(run.path),
        model=read_mapping(run.path / MODEL) or _layers_of_checkpoint(run),
        evaluations=read_evaluations(run.path / EVALUATION),
        data=data,
        along=by,
    )


def read_evaluations(folder: Path) -> dict[str, Evaluation]:
    """The figures of an evaluation, by output; those that are missing are left out."""
    if not is_dir(folder):
        return {}
    places = {"": folder}
    places |= {place.name: place for place in sorted(folder.iterdir()) if is_dir(place)}
    found = {}
    for output, place in list(places.items())[: MAX_OUTPUTS + 1]:
        tables = {name: rows for name in TABLES if (rows := read_rows(place / f"{name}.csv"))}
        confusion = _confusion(place / f"{CONFUSION}.csv")
        if tables or confusion:
            found[output] = Evaluation(tables, confusion)
    return found


def _confusion(path: Path) -> Confusion | None:
    """A confusion matrix by its places: a class may be called ``true``, as the first column is."""
    head, rows = read_table(path)
    predicted = head[1:]
    rows = [row for row in rows if len(row) == len(head)]
    counts = [[finite(count) or 0.0 for count in row[1:]] for row in rows]
    return Confusion(predicted, [row[0] for row in rows], counts) if counts and predicted else None


def _layers_of_checkpoint(run: RunDir) -> dict[str, Any]:
    """The layers in the newest checkpoint, for a run of a version that kept no ``model.json``."""
    positions = list_positions(run.checkpoints)
    if not positions:
        return {}
    state = read_mapping(checkpoint_path(run.checkpoints, positions[-1]) / STATE)
    layers = [
        {"name": layer.get("name"), "type": layer.get("class")}
        for layer in list_at(state, "architecture")
        if isinstance(layer, Mapping) and "class" in layer
    ]
    return {"layers": layers} if layers else {}
