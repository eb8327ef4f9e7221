"""The data set of a run, described and with examples, for its page. No framework is imported."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from dlrun.config.groups import without_kept
from dlrun.config.instantiate import instantiate
from dlrun.config.project import Project
from dlrun.data.dataset import Dataset
from dlrun.data.description.arrays import describe_dataset
from dlrun.data.description.pictures import pictures_at, pictures_of
from dlrun.data.fingerprint import fingerprint
from dlrun.data.source import Source
from dlrun.data.splits import TRAIN
from dlrun.data.table import Table
from dlrun.data.tree import map_named
from dlrun.errors import DlrunError
from dlrun.inference.loaded_run import open_run, read_saved_spec
from dlrun.report.cells import figure
from dlrun.report.page.run_view import EVALUATION, DataView, read_evaluations
from dlrun.runs.directory import RunDir

ROWS, COLUMNS, CHARACTERS = 5, 24, 300
MOST_WRONG = 20
VALUES = 12  # of an array that is not an image
DIGITS = 9  # of a number, that has fewer if it is longer


def read_examples(run: RunDir, *, runs_dir: Path, project: Project) -> DataView:
    """Read the data set of a run as its config says.

    Args:
        run: The run.
        runs_dir: As for :func:`dlrun.inference.loaded_run.open_run`, like the following two.
        project: See there.

    Raises:
        DlrunError: If the data can't be read, or the config names code that is not trusted.
    """
    _, config = open_run(str(run.path), (), runs_dir=runs_dir, project=project, needs_backend=False)
    data = instantiate("data", without_kept("data", config.data))
    option = str(config.choices.get("data") or "data")
    if isinstance(data, Source):
        description = asdict(data.describe())
    elif isinstance(data, Dataset):
        description = asdict(describe_dataset(data, option))
    else:
        raise DlrunError(f"{config.data['_target_']} returned {type(data).__name__}")
    pictures = pictures_of(data)
    head, rows = ((), []) if pictures else _rows(data)
    wrong = _most_wrong(run)
    dataset = data if isinstance(data, Dataset) else None
    if isinstance(data, Source) and pictures:
        dataset = data.dataset(read_saved_spec(run))  # from the cache of decoded images
    return DataView(
        description=description,
        pictures=pictures,
        head=head,
        rows=rows,
        wrong=_wrong_pictures(wrong, dataset) if dataset and pictures else {},
        wrong_texts=_wrong_texts(wrong, data) if isinstance(data, Table) and data.targets else {},
        changed=dataset is not None and not dataset.fit and _is_other(run, dataset),
    )


def _is_other(run: RunDir, data: Dataset) -> bool:
    recorded = run.record.get("data_fingerprint")
    return isinstance(recorded, Mapping) and {**recorded} != fingerprint(data)


def _most_wrong(run: RunDir) -> list[Mapping[str, str]]:
    """The samples that the run got most wrong, of every output."""
    evaluations = read_evaluations(run.path / EVALUATION).values()
    return [row for of in evaluations for row in of.tables.get("most_wrong", ())[:MOST_WRONG]]


def _wrong_pictures(wrong: Iterable[Mapping[str, str]], data: Dataset) -> dict[int, np.ndarray]:
    """Their images, by the sample's place in the split that was evaluated."""
    split = data.test if len(data.test) else data.validation
    numbers = {row.get("sample", "") for row in wrong}
    samples = sorted({int(n) for n in numbers if n.isdecimal() and int(n) < len(split)})
    return dict(zip(samples, pictures_at(split.inputs, samples), strict=False))


def _wrong_texts(wrong: Iterable[Mapping[str, str]], data: Table) -> dict[str, str]:
    """What a table has of them, by their ids: ``row 7``, counted from 1, or what names the row."""
    ids = {row.get("id", "") for row in wrong}
    places = {int(id_[4:]) - 1: id_ for id_ in ids if re.fullmatch(r"row [0-9]{1,15}", id_)}
    names = [name for name, column in data.inputs.items() if column.kind == "text"]
    names = names or list(data.inputs)[:COLUMNS]
    found: dict[str, str] = {}
    first, named = 0, data.id_column
    for batch in data.batches():
        inside = {place - first: id_ for place, id_ in places.items()}
        if named is not None:
            values_of = map(str, batch.column(named).to_pylist())
            inside |= {number: id_ for number, id_ in enumerate(values_of) if id_ in ids}
        for row, id_ in inside.items():
            if 0 <= row < batch.num_rows:
                values = {name: _text(batch.column(name)[row].as_py()) for name in names}
                text = ", ".join(f"{name}={value}" for name, value in values.items() if value)
                found[id_] = values[names[0]] if len(names) == 1 else text
        first += batch.num_rows
    return found


def _rows(data: Any) -> tuple[Sequence[str], list[list[str]]]:
    """The names and the values of the first training samples; none if they can't be shown."""
    if isinstance(data, Table):
        return _table_rows(data)
    if not isinstance(data, Dataset):
        return (), []
    arrays: list[tuple[str, np.ndarray]] = []
    split = data.train[:ROWS]
    map_named(lambda name, of: arrays.append((name or "inputs", of)), split.inputs)
    map_named(lambda name, of: arrays.append((name or "label", of)), split.labels)
    arrays = arrays[:COLUMNS]
    rows = [[_values(array[row]) for _, array in arrays] for row in range(len(split))]
    return [name for name, _ in arrays], rows


def _table_rows(data: Table) -> tuple[Sequence[str], list[list[str]]]:
    chosen = np.flatnonzero(data.splits == TRAIN)[:ROWS] if data.targets else np.arange(ROWS)
    names = list(data.profiles)[:COLUMNS]
    rows, first = [], 0
    for batch in data.batches():
        inside = [int(row) - first for row in chosen if first <= row < first + batch.num_rows]
        for row in inside:
            rows.append([_text(batch.column(name)[row].as_py()) for name in names])
        first += batch.num_rows
        if len(rows) == len(chosen):
            break
    return names, rows


def _values(array: np.ndarray) -> str:
    flat = np.asarray(array).reshape(-1)
    shown: Iterable[Any] = itertools.islice(flat, VALUES)
    return " ".join(f"{value:.4g}" for value in shown) + (" ..." if flat.size > VALUES else "")


def _text(value: Any) -> str:
    words = "" if value is None else str(value)
    if isinstance(value, float) and len(words) > DIGITS:
        return figure(value)
    return words if len(words) <= CHARACTERS else f"{words[:CHARACTERS]}..."
