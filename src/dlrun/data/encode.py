"""Encode a table's rows into arrays, split by split, in the data cache."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from dlrun.data import columns
from dlrun.data.cache import cache_entry, key_of
from dlrun.data.columns import WrongValueError, to_weights
from dlrun.data.columns.date import date_format
from dlrun.data.dataset import Dataset, Split
from dlrun.data.duplicates import RowHashes, notes, row_hashes
from dlrun.data.preprocessing.columns import Columns
from dlrun.data.sample_ids import SampleIds
from dlrun.data.splits import TEST, TRAIN, VALIDATION
from dlrun.data.table_columns import correct
from dlrun.data.targets import Target, TargetFitter
from dlrun.data.tree import Arrays, leaves, leaves_by_name
from dlrun.errors import DlrunError
from dlrun.system.files import is_file

if TYPE_CHECKING:
    from dlrun.data.input_spec import InputSpec
    from dlrun.data.table import Table

log = logging.getLogger("dlrun")

SPLITS = {"train": TRAIN, "validation": VALIDATION, "test": TEST}
FITTED, WRITTEN = "fitted.json", "written.json"
IN_MEMORY = 16 * 2**20  # bytes; larger arrays stay in their files


def dataset(of: Table) -> Dataset:
    """The table's rows as arrays, from the cache if they are in it.

    Args:
        of: The table; columns and targets that it does not know are fitted.

    Raises:
        DlrunError: If a value is not of its column's kind, or the run's columns are not there.
    """
    entry, step, targets = _encoded(of)
    written = json.loads((entry / WRITTEN).read_text(encoding="utf-8"))
    outputs = list(targets)

    def load(split: str) -> Split:
        weights = _load(entry, split, "weights", [None]) if of.weight else None
        if weights is not None and outputs != [None]:
            weights = {str(name): weights for name in outputs}  # type: ignore[misc]
        inputs = _load(entry, split, "inputs", written["inputs"])
        labels = _load(entry, split, "labels", outputs)
        there = is_file(entry / _file(split, "rows", None))  # not in an earlier version's cache
        rows: Any = _load(entry, split, "rows", [None]) if there else None
        return Split(inputs, labels, weights, SampleIds(rows, of.row_names) if there else None)

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
        preprocessing=(step,),
        targets=targets[None] if single else {str(name): t for name, t in targets.items()},
        sizes=step.sizes,
        is_checked=True,
    )


def duplicate_notes(of: Table) -> list[str]:
    """A line for each split of the table that has rows of its training split.

    Raises:
        DlrunError: As for :func:`dataset`.
    """
    entry, *_ = _encoded(of)
    written = json.loads((entry / WRITTEN).read_text(encoding="utf-8"))
    [name, *_] = written["inputs"]
    arrays = {s: np.load(entry / _file(s, "inputs", name), mmap_mode="r") for s in SPLITS}
    return notes(written["duplicates"], {split: len(array) for split, array in arrays.items()})


def _encoded(of: Table) -> tuple[Path, Columns, Mapping[str | None, Target]]:
    """The directory of a table's arrays, made if it is not there, and how they are encoded."""
    step, targets = of.known or _fit_or_load(of)
    named = [[name, target.state()] for name, target in targets.items()]
    # The same for a run and for what evaluates it, which knows the columns of the run.
    parts = [of.entry.name, of.weight, of.blank, vars(of.way), of.limit, step.state(), named]

    def make(directory: Path) -> None:
        _write(of, directory, step, targets)

    entry = cache_entry(key_of("encoded", *parts), make, limit_bytes=of.cache_bytes)
    return entry, step, targets


def saved_columns(of: Table, saved: InputSpec) -> tuple[Columns, dict[str | None, Target]]:
    """A run's fitted columns and targets, all of which the table has.

    Raises:
        DlrunError: If the run was not trained on a table, or one is not there.
    """
    step = next((step for step in saved.preprocessing if isinstance(step, Columns)), None)
    if step is None or saved.targets is None:
        raise DlrunError(
            "data: the run was not trained on a table", hint="choose data of the run's own kind"
        )
    targets = saved.targets
    named: dict[str | None, Target] = (
        {**targets} if isinstance(targets, Mapping) else {None: targets}  # type: ignore[dict-item]
    )
    needed = [*step.names, *(column for target in named.values() for column in target.columns)]
    if missing := [name for name in needed if name not in of.profiles]:
        raise DlrunError(
            f"data: {of.path} has no column '{missing[0]}', which the run was trained on"
            + (f", nor {len(missing) - 1} more" if len(missing) > 1 else ""),
            hint=f"the run takes {', '.join(needed[:12])}",
        )
    return step, named


def _fit_or_load(of: Table) -> tuple[Columns, dict[str | None, Target]]:
    """The columns and targets of the training split, from the cache if they are in it."""
    labels = {name: target.state() for name, target in of.labels.items()}
    key = key_of("fitted", of.entry.name, labels, of.blank, of.inputs, vars(of.way), of.limit)

    def make(directory: Path) -> None:
        step, targets = _fit(of)
        named = [[name, target.state()] for name, target in targets.items()]
        text = json.dumps({"columns": step.state(), "targets": named})
        (directory / FITTED).write_text(text, encoding="utf-8")

    entry = cache_entry(key, make, limit_bytes=of.cache_bytes)
    state = json.loads((entry / FITTED).read_text(encoding="utf-8"))
    targets = {name: Target.from_state(target) for name, target in state["targets"]}
    return Columns.from_state(state["columns"]), targets


def _fit(of: Table) -> tuple[Columns, dict[str | None, Target]]:
    """Fit columns and targets on the training split."""
    fitters = {
        name: columns.fitter(kind, name, options) for name, (kind, options) in of.inputs.items()
    }
    of_targets = {name: TargetFitter(target) for name, target in of.labels.items()}
    start = 0
    for batch in of.batches():
        mask = of.splits[start : start + len(batch)] == TRAIN
        rows = batch if mask.all() else batch.filter(_mask(mask))
        for name, fitter in fitters.items():
            with at_row(of, start, mask):
                fitter.update(rows.column(name))
        for fitter in of_targets.values():
            with at_row(of, start, mask):
                fitter.update(BatchColumns(rows))
        start += len(batch)
    step = Columns(tuple(fitter.result() for fitter in fitters.values()))
    return step, {name: fitter.result() for name, fitter in of_targets.items()}


def _write(of: Table, directory: Path, step: Columns, targets: Mapping[str | None, Target]) -> None:
    """Write the arrays of each split, batch by batch."""
    counts = {split: int((of.splits == code).sum()) for split, code in SPLITS.items()}
    names: list[str | None] = []
    start = 0
    with ExitStack() as stack:
        files: dict[str, _Rows] = {}
        hashes = stack.enter_context(RowHashes(directory))

        def write(split: str, part: str, name: str | None, array: np.ndarray) -> None:
            file = _file(split, part, name)
            if file not in files:
                opened = stack.enter_context((directory / file).open("wb"))
                files[file] = _Rows(opened, counts[split], array)
            files[file].write(array)

        for batch in of.batches():
            codes = of.splits[start : start + len(batch)]
            is_used = codes <= max(SPLITS.values())
            with at_row(of, start, is_used):
                rows = BatchColumns(batch if is_used.all() else batch.filter(_mask(is_used)))
                inputs = step.apply(rows)
                labels = {name: target.encode(rows) for name, target in targets.items()}
                weights = None if of.weight is None else to_weights(of.weight, rows[of.weight])
            named = leaves_by_name(inputs)
            names = names or list(named)
            for array in named.values():
                _require_finite(of, array, start, is_used)
            hashed, numbers = row_hashes(leaves(inputs)), start + np.flatnonzero(is_used)
            # Encoded once, then dealt out: rows of arrays are copied faster than those of columns.
            for split, code in SPLITS.items():
                places = np.flatnonzero(codes[is_used] == code)
                for name, array in named.items():
                    write(split, "inputs", name, array[places])
                for label, array in labels.items():
                    write(split, "labels", label, array[places])
                if weights is not None:
                    write(split, "weights", None, weights[places])
                write(split, "rows", None, numbers[places])
                hashes.add(split, hashed[places])
            start += len(batch)
        duplicates = hashes.counts()
    written = {"inputs": names, "duplicates": duplicates}
    (directory / WRITTEN).write_text(json.dumps(written), encoding="utf-8")


def _require_finite(of: Table, array: np.ndarray, start: int, mask: np.ndarray) -> None:
    """Refuse a value that float32 does not hold, such as 1e300 that is not scaled."""
    if not (finite := np.isfinite(array).reshape(len(array), -1).all(axis=1)).all():
        row = start + int(np.flatnonzero(mask)[int(finite.argmin())])
        raise DlrunError(
            f"data: {of.path}, row {row + 1:,}: a value is too large for float32",
            hint="correct it, or choose numbers.scale=log or quantile",
        )


class BatchColumns(Mapping[str, Any]):
    """A batch as a mapping of its columns."""

    def __init__(self, batch: Any) -> None:
        self._batch = batch
        self._names = dict.fromkeys(batch.schema.names)  # which makes a list of them each time

    def __getitem__(self, name: str) -> Any:
        return self._batch.column(name)

    def __iter__(self) -> Any:
        return iter(self._names)

    def __len__(self) -> int:
        return int(self._batch.num_columns)

    def __contains__(self, name: object) -> bool:
        return name in self._names


class _Rows:
    """An ``.npy`` file that is written row by row.

    Args:
        file: The file.
        rows: How many there will be.
        like: An array with the dtype and the shape of the rows.
    """

    def __init__(self, file: BinaryIO, rows: int, like: np.ndarray) -> None:
        self._file = file
        header = {
            "descr": np.lib.format.dtype_to_descr(like.dtype),
            "fortran_order": False,
            "shape": (rows, *like.shape[1:]),
        }
        np.lib.format.write_array_header_1_0(file, header)

    def write(self, array: np.ndarray) -> None:
        """Write further rows."""
        self._file.write(np.ascontiguousarray(array).data)


class at_row:  # noqa: N801 - reads like a function
    """Turn a wrong value into an error that names its row in the table.

    Args:
        of: The table.
        start: The rows before those that are encoded.
        mask: Which of the rows from there are encoded.
        hint: What else mends it.
    """

    def __init__(self, of: Table, start: int, mask: np.ndarray, hint: str = "") -> None:
        self._of, self._start, self._mask, self._hint = of, start, mask, hint

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if isinstance(error, WrongValueError):
            row = self._start + int(np.flatnonzero(self._mask)[error.row])
            raise DlrunError(
                f"data: {self._of.path}: column '{error.column}', row {row + 1:,}:"
                f" {error.value!r:.80} is not {error.expected}",
                hint=_how_to_read(self._of, error) or correct(self._of, error.value) + self._hint,
            ) from error


def _how_to_read(of: Table, error: WrongValueError) -> str | None:
    """The format of a column of dates, as an override; None if it looks like none."""
    is_date = error.expected.startswith("a date")
    form = date_format(of.profiles[error.column].examples) if is_date else None
    return form and f"""'data.columns.{error.column}={{kind: date, format: "{form}"}}'"""


def _mask(mask: np.ndarray) -> Any:
    import pyarrow as pa

    return pa.array(mask)


def _file(split: str, part: str, name: str | None) -> str:
    # A column's name may hold anything.
    suffix = "" if name is None else f"-{name.encode().hex()[:120]}"
    return f"{split}-{part}{suffix}.npy"


def _load(entry: Path, split: str, part: str, names: list[str | None]) -> Arrays:
    def load(name: str | None) -> np.ndarray:
        path = entry / _file(split, part, name)
        small = path.stat().st_size <= IN_MEMORY
        array: np.ndarray = np.load(path, mmap_mode=None if small else "r", allow_pickle=False)
        return array.view(np.ndarray)  # indexing a memmap takes longer

    if names == [None]:
        return load(None)
    return {str(name): load(name) for name in names}
