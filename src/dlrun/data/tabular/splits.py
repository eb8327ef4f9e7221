"""Which split a row of a table is in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlrun.data.cache import cache_entry, key_of
from dlrun.data.draw_splits import split_rows
from dlrun.data.splits import LEFT_OUT, PAST_LIMIT, TEST, TRAIN, VALIDATION, file_split
from dlrun.data.tabular.column_values import to_seconds, to_texts
from dlrun.data.tabular.columns import at_row, require_column
from dlrun.data.tabular.encode_rows import BatchColumns
from dlrun.data.tabular.number_types import NUMERIC, to_floats
from dlrun.data.targets import required_columns
from dlrun.errors import DlrunError

if TYPE_CHECKING:
    from dlrun.data.table import Table


FILE = "splits.npy"


def split_table(of: Table) -> np.ndarray:
    """The split of each row, from the cache if it is in it; ``LEFT_OUT`` without a target."""
    labels = [(target.kind, target.columns, target.classes) for target in of.labels.values()]
    given = of.given.get(of.way.by or "")  # the format of its dates
    key = key_of("splits", of.entry.name, labels, of.blank, vars(of.way), given, of.limit)

    def make(directory: Path) -> None:
        np.save(directory / FILE, _split(of))

    splits: np.ndarray = np.load(cache_entry(key, make, limit_bytes=of.cache_bytes) / FILE)
    return splits


def _split(of: Table) -> np.ndarray:
    import pyarrow as pa

    way, labels = of.way, of.labels
    stratify = next(iter(labels.values())) if way.way == "stratified" else None
    if stratify is not None and stratify.kind not in ("classification", "binary_classification"):
        raise DlrunError(
            "data.split=stratified is for a single target of classes", hint="data.split=random"
        )
    needed = required_columns(labels.values(), of.blank)
    if way.by is not None:
        require_column(of, way.by, "data.by")
    there, values, classes, start = [], [], [], 0
    read = {*needed, *(stratify.columns if stratify else ()), *([way.by] if way.by else [])}
    for batch in of.batches(read or None):  # of no column, the rows could not be counted
        mask = np.ones(len(batch), bool)
        for name in needed:
            mask &= ~batch.column(name).is_null().to_numpy(zero_copy_only=False)
        there.append(mask)
        kept = batch.filter(pa.array(mask)) if not mask.all() else batch
        if way.by is not None:
            column = kept.column(way.by)
            if way.way == "time":
                with at_row(of, start, mask, ", or choose another data.by"):
                    values.extend(_times(of, way.by, column).tolist())
            else:
                values.extend(to_texts(column).to_pylist())
        if stratify is not None:
            with at_row(of, start, mask):
                classes.append(stratify.encode(BatchColumns(kept)))
        start += len(batch)
    mask = np.concatenate(there)
    files = None
    if way.way == "files":
        codes = [file_split(name) for name, _ in of.file_rows]
        counts = [rows for _, rows in of.file_rows]
        if None in codes:
            name = of.file_rows[codes.index(None)][0]
            raise DlrunError(
                f"data.split=files: {name} names no split", hint="call it train, validation or test"
            )
        files = np.repeat(np.asarray(codes, np.uint8), counts)[mask]
    splits = np.full(len(mask), LEFT_OUT, np.uint8)
    splits[mask] = split_rows(
        int(mask.sum()),
        way,
        values=values,
        classes=np.concatenate(classes) if classes else None,
        files=files,
        numbers=(np.flatnonzero(mask) + 1).tolist(),
    )
    if of.limit is not None:
        for split in (TRAIN, VALIDATION, TEST):
            splits[np.flatnonzero(splits == split)[of.limit :]] = PAST_LIMIT
    return splits


def _times(of: Table, name: str, values: Any) -> np.ndarray:
    given = of.given.get(name)
    form = given.get("format") if isinstance(given, Mapping) else None
    if of.profiles[name].type in NUMERIC:
        numbers: np.ndarray = to_floats(values).to_numpy(zero_copy_only=False)
        return numbers
    return to_seconds(name, values, form)
