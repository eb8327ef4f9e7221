"""Encode a table's rows into arrays, split by split, in the data cache."""

from __future__ import annotations

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dlrun.data import columns
from dlrun.data.cache import cache_entry, key_of
from dlrun.data.dataset import Dataset, Split
from dlrun.data.duplicates import notes
from dlrun.data.preprocessing.columns import Columns
from dlrun.data.sample_ids import SampleIds
from dlrun.data.splits import SPLITS, TRAIN
from dlrun.data.tabular.columns import at_row, require_saved
from dlrun.data.tabular.encode_rows import BatchColumns, RowEncoder
from dlrun.data.tabular.write_rows import WRITTEN, file_of, write_rows
from dlrun.data.targets import TargetFitter, columns_of
from dlrun.data.tree import Arrays, leaves_by_name
from dlrun.errors import DlrunError

if TYPE_CHECKING:
    from dlrun.data.input_spec import InputSpec
    from dlrun.data.table import Table

log = logging.getLogger("dlrun")

ENCODING = 2  # in the keys of encoded rows: the entries of the first may hold infinite numbers
FITTED = "fitted.json"
IN_MEMORY = 16 * 2**20  # bytes; larger arrays stay in their files


def dataset(of: Table) -> Dataset:
    """The table's rows as arrays, from the cache if they are in it.

    Args:
        of: The table; columns and targets that it does not know are fitted.

    Raises:
        DlrunError: If a value is not of its column's kind, or the run's columns are not there.
    """
    entry, encoder = _encoded(of)
    targets = encoder.targets
    written = json.loads((entry / WRITTEN).read_text(encoding="utf-8"))
    outputs = list(targets)

    def load(split: str) -> Split:
        weights = _load(entry, split, "weights", [None]) if of.weight else None
        if weights is not None and outputs != [None]:
            weights = {str(name): weights for name in outputs}  # type: ignore[misc]
        inputs = _load(entry, split, "inputs", written["inputs"])
        labels = _load(entry, split, "labels", outputs)
        rows = load_array(entry / file_of(split, "rows", None))
        return Split(inputs, labels, weights, SampleIds(rows, of.row_names))

    train, validation, test = map(load, SPLITS)
    rows = {"validation": len(validation), "test": len(test)}
    for note in notes(written["duplicates"], rows):
        log.warning("data: %s", note)
    single = None in targets
    return Dataset(
        train,
        validation,
        test,
        num_classes=targets[None].num_classes
        if single
        else {str(name): target.num_classes for name, target in targets.items()},
        preprocessing=(encoder.columns,),
        targets=targets[None] if single else {str(name): t for name, t in targets.items()},
        sizes=encoder.columns.sizes,
        is_checked=True,
    )


def duplicate_notes(of: Table) -> list[str]:
    """A line for each split of the table that has rows of its training split.

    Raises:
        DlrunError: As for :func:`dataset`.
    """
    entry, _ = _encoded(of)
    written = json.loads((entry / WRITTEN).read_text(encoding="utf-8"))
    [name, *_] = written["inputs"]
    arrays = {s: np.load(entry / file_of(s, "inputs", name), mmap_mode="r") for s in SPLITS}
    return notes(written["duplicates"], {split: len(array) for split, array in arrays.items()})


def _encoded(of: Table) -> tuple[Path, RowEncoder]:
    """The directory of a table's arrays, made if it is not there, and how they are encoded."""
    encoder = of.known or _fit_or_load(of)
    state = encoder.state()
    # The same for a run and for what evaluates it, which knows the columns of the run.
    parts = [of.entry.name, of.weight, of.blank, vars(of.way), of.limit]

    def make(directory: Path) -> None:
        write_rows(of, directory, encoder)

    key = key_of("encoded", ENCODING, *parts, state["columns"], state["targets"])
    return cache_entry(key, make, limit_bytes=of.cache_bytes), encoder


def saved_encoder(of: Table, saved: InputSpec) -> RowEncoder:
    """That of a run, all of whose columns the table has.

    Raises:
        DlrunError: If the run was not trained on a table, or one is not there.
    """
    step = saved.step(Columns)
    if step is None or saved.targets is None:
        raise DlrunError(
            "data: the run was not trained on a table", hint="choose data of the run's own kind"
        )
    named = leaves_by_name(saved.targets)
    require_saved(of, [*step.names, *columns_of(named.values())])
    return RowEncoder(step, named, of.weight)


def _fit_or_load(of: Table) -> RowEncoder:
    """The encoder fitted to the training split, from the cache if they are in it."""
    labels = {name: target.state() for name, target in of.labels.items()}
    parts = [of.entry.name, labels, of.blank, of.inputs, vars(of.way), of.limit]

    def make(directory: Path) -> None:
        (directory / FITTED).write_text(json.dumps(_fit(of).state()), encoding="utf-8")

    key = key_of("fitted", ENCODING, *parts)
    entry = cache_entry(key, make, limit_bytes=of.cache_bytes)
    state = json.loads((entry / FITTED).read_text(encoding="utf-8"))
    return RowEncoder.from_state(state, of.weight)


def _fit(of: Table) -> RowEncoder:
    """Fit columns and targets on the training split."""
    import pyarrow as pa

    fitters = {
        name: columns.fitter(column.kind, name, column.options)
        for name, column in of.inputs.items()
    }
    of_targets = {name: TargetFitter(target) for name, target in of.labels.items()}

    def update(name: str, rows: BatchColumns) -> None:
        fitters[name].update(rows[name])

    start = 0
    with ThreadPoolExecutor(max_workers=2) as pool:  # NumPy and pyarrow work without Python's lock
        for batch in of.batches():
            mask = of.splits[start : start + len(batch)] == TRAIN
            rows = BatchColumns(batch, None if mask.all() else pa.array(mask))
            with at_row(of, start, mask):
                updates = [pool.submit(update, name, rows) for name in fitters]
                for updated in updates:  # in turn: the error of the first column is raised
                    updated.result()
                for fitter in of_targets.values():
                    fitter.update(rows)
            start += len(batch)
    fitted = Columns(tuple(fitter.result() for fitter in fitters.values()))
    targets = {name: fitter.result() for name, fitter in of_targets.items()}
    return RowEncoder(fitted, targets, of.weight)


def _load(entry: Path, split: str, part: str, names: list[str | None]) -> Arrays:
    arrays = {name: load_array(entry / file_of(split, part, name)) for name in names}
    return arrays[None] if names == [None] else {str(name): arrays[name] for name in names}


def load_array(path: Path) -> np.ndarray:
    """An array of the cache: read if it is small, else mapped into memory."""
    small = path.stat().st_size <= IN_MEMORY
    array: np.ndarray = np.load(path, mmap_mode=None if small else "r", allow_pickle=False)
    return array.view(np.ndarray)  # indexing a memmap takes longer
