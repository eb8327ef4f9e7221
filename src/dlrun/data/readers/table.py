"""Rows of a table, for a run that was trained on one, and what names them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlrun.data.preprocessing.columns import Columns
from dlrun.data.readers import (
    STDIN,
    Part,
    Request,
    required_targets,
    targets_of,
    texts,
    without_target_note,
)
from dlrun.data.readers.arrays import SUFFIXES as ARRAYS
from dlrun.data.row_formats import Block, Rows, open_rows
from dlrun.data.table_formats import TableFiles, find_files, format_of, suffixes
from dlrun.data.tabular.column_types import Cells
from dlrun.data.tabular.column_values import WrongValueError, to_objects, to_weights
from dlrun.data.tabular.encode_rows import BatchColumns
from dlrun.data.tabular.errors import read_error
from dlrun.data.tabular.refused_rows import reason, refused_rows, refused_targets
from dlrun.data.tabular.row_names import find_ids
from dlrun.data.targets import columns_of
from dlrun.data.tree import Arrays, as_tree, tree_map
from dlrun.errors import DlrunError
from dlrun.system.files import is_dir
from dlrun.system.packages import require_package

if TYPE_CHECKING:
    import pyarrow as pa

    from dlrun.data.input_spec import ArraySpec


def kinds(request: Request) -> list[str]:
    """See :mod:`dlrun.data.readers`."""
    return suffixes(None) if request.spec.step(Columns) else []


def takes(request: Request) -> bool:
    """See :mod:`dlrun.data.readers`."""
    is_other = request.source.suffix in ARRAYS or texts.takes(request)
    return request.spec.step(Columns) is not None and not is_other


class Reader:
    """See :class:`dlrun.data.readers.Reader`."""

    def __init__(self, request: Request) -> None:
        require_package("pyarrow", "a table", "data")
        step = request.spec.step(Columns)
        assert step is not None, "takes() says so"
        self._request, self._step = request, step
        self._targets = targets_of(request.spec)
        self._beside = self._labels_and_weight() if request.labels else {}
        self._unseen: Counter[str] = Counter()
        self._absent: Counter[str] = Counter()
        self._without_target = 0
        self.files, self._format = _files(request)
        if request.array is not None:
            raise DlrunError(
                f"--array {request.array}: {request.source} is a table", hint="leave it out"
            )
        self._first = self._open(self.files[0])

    def parts(self) -> Iterator[Part]:
        """See :class:`dlrun.data.readers.Reader`."""
        some = False
        for number, path in enumerate(self.files):
            rows, ids = self._open(path) if number else self._first
            wanted = {**dict.fromkeys(ids, Cells.VALUES), **self._step.cells, **self._beside}
            try:
                for block in rows.blocks(wanted, self._request.rows):
                    some = True
                    yield self._part(block, ids, path)
            except (OSError, ValueError, EOFError) as error:
                raise read_error(path, error, label=self._request.key) from error
        if not some:
            raise DlrunError(f"{self._request.key} {self._request.source}: has no rows")

    def notes(self) -> list[str]:
        """See :class:`dlrun.data.readers.Reader`."""
        notes = [
            f"column '{name}': {_rows(count)} a value that training did not see"
            for name, count in self._unseen.items()
            if count
        ]
        notes += [
            f"column '{name}': {_rows(count)} no value, and every row of training had one"
            for name, count in self._absent.items()
            if count
        ]
        return [*notes, *without_target_note(self._request, self._without_target)]

    def _open(self, path: Path) -> tuple[Rows, list[str]]:
        """A file, and the columns that name its rows."""
        key = self._request.key
        try:
            rows = open_rows(path, self._format, self._request.table)
        except (OSError, ValueError, EOFError) as error:
            raise read_error(path, error, label=key) from error
        names = rows.names
        if not names and self._format == "csv":
            raise DlrunError(f"{key} {path} is empty", hint="the first row names the columns")
        label, targets = f"{key} {path}", columns_of(self._targets.values())
        if names:  # else no row could be read, and each says why
            _require(label, names, self._step.names, "which the run takes")
            _require(label, names, self._request.ids, "which --id names")
            if self._request.labels:
                _require(label, names, targets, "which the run predicts")
                if (weight := self._request.weight) and weight not in names:
                    raise DlrunError(
                        f"{label} has no column '{weight}', which weighs the run's rows",
                        hint="data.weight=null counts each row once",
                    )
        used = {*self._step.names, *targets}
        ids = list(self._request.ids) or find_ids(dict.fromkeys(names), used)
        if not names:
            ids = []
        elif self._request.labels:  # one that tells the rows apart in a report
            ids = [name for name in ids if names.count(name) == 1][:1]
        read = {*self._step.names, *ids, *self._beside}
        if twice := [name for name, count in Counter(names).items() if count > 1 and name in read]:
            raise DlrunError(
                f"{label} has two columns named '{twice[0]}'", hint="rename one of them"
            )
        return rows, ids

    def _labels_and_weight(self) -> dict[str, Cells]:
        """The columns that are read beside those of the inputs, and what is taken of them."""
        weight = self._request.weight
        cells = {} if weight is None else {weight: Cells.NUMBERS}
        for target in self._targets.values():
            cells |= target.cells
        return cells

    def _part(self, block: Block, ids: Sequence[str], path: Path) -> Part:
        """The rows of a block as inputs, and what names them."""
        batch, rows = block.batch, block.rows
        if self._request.labels:
            batch, rows = self._with_target(batch, rows)
        every = np.sort(np.concatenate([rows, list(block.wrong)]).astype(np.int64))
        names = {name: _at(every, rows, to_objects(batch.column(name))) for name in ids}
        if len(self.files) > 1:
            names = {"file": [str(path)] * len(every), **names}
        why = dict(block.wrong)
        label = f"{self._request.key} {path}"
        try:
            encoded = self._encode(batch)
        except WrongValueError:
            wrong = self._wrong_rows(batch)
            why |= {int(rows[place]): text for place, text in wrong.items()}
            right = np.ones(len(rows), bool)
            right[list(wrong)] = False
            batch, rows = batch.filter(_mask(right)), rows[right]
            try:
                encoded = self._encode(batch)
            except WrongValueError as error:  # a class that the run does not know
                raise DlrunError(
                    f"{label}: row {rows[error.row]:,}: {reason(error)}",
                    hint="correct it, or remove the row",
                ) from error
        self._count(batch)
        inputs, labels, weights = encoded
        wrong = {int(np.searchsorted(every, row)): text for row, text in sorted(why.items())}
        return Part(inputs, every, label, wrong, names, labels, weights)

    def _with_target(
        self, batch: pa.RecordBatch, rows: np.ndarray
    ) -> tuple[pa.RecordBatch, np.ndarray]:
        """The rows with a value in each target."""
        has_target = np.ones(len(rows), bool)
        for name in required_targets(self._request):
            has_target &= batch.column(name).is_valid().to_numpy(zero_copy_only=False)
        self._without_target += int((~has_target).sum())
        return batch.filter(_mask(has_target)), rows[has_target]

    def _encode(self, batch: pa.RecordBatch) -> tuple[Arrays, Arrays | None, np.ndarray | None]:
        """Rows as inputs, and, if they are asked for, their labels and what they count."""
        spec, weight = self._request.spec, self._request.weight
        with_labels, columns = self._request.labels, BatchColumns(batch)
        if not len(batch):  # a column of another type can't be encoded even then
            inputs = tree_map(_no_rows, spec.inputs)
            labels = tree_map(_no_rows, spec.labels) if with_labels else None
            return inputs, labels, None if weight is None else np.zeros(0, np.float32)
        inputs = spec.preprocess(columns)
        if not with_labels:
            return inputs, None, None
        encoded = {name: target.encode(columns) for name, target in self._targets.items()}
        weights = None if weight is None else to_weights(weight, batch.column(weight))
        return inputs, as_tree(encoded), weights

    def _wrong_rows(self, batch: pa.RecordBatch) -> dict[int, str]:
        """What is wrong with each row that can't be encoded, by its place."""
        found: dict[int, str] = {}
        for column in self._step.fitted:
            found = refused_rows(partial(_encode_column, column), batch) | found
        if self._request.labels:
            found = refused_targets(self._targets.values(), batch) | found
            if (weight := self._request.weight) is not None:
                found = (
                    refused_rows(lambda of: to_weights(weight, of.column(weight)), batch) | found
                )
        return found

    def _count(self, batch: pa.RecordBatch) -> None:
        """Count values that are unlike those of the training split."""
        for column in self._step.fitted:
            values = batch.column(column.name)
            if unseen := getattr(column, "unseen", None):
                self._unseen[column.name] += unseen(values)
            if getattr(column, "indicator", None) is False:
                self._absent[column.name] += values.null_count


def _files(request: Request) -> tuple[Sequence[Path], str]:
    """The files of a request, and their format."""
    source = request.source
    if str(source) == STDIN:
        return [source], "jsonl"
    files = table_files(request)
    return files.paths, files.format


def table_files(request: Request) -> TableFiles:
    """The files of a table, in the format of the run's own data where no suffix tells it."""
    source = request.source
    known = is_dir(source) or format_of(source) is not None
    format = None if known else request.format
    return find_files(str(source), format, request.table, key=f"{request.key} ")


def _require(label: str, names: Sequence[str], needed: Sequence[str], why: str) -> None:
    """Refuse a table without a column; the hint names one that may be it."""
    missing = [name for name in needed if name not in names]
    if not missing:
        return
    others = {name.strip().lower(): name for name in names if name not in needed}
    near = get_close_matches(missing[0].strip().lower(), others, n=1, cutoff=0.7)
    listed = ", ".join(list(names)[:12]) + (", ..." if len(names) > 12 else "")
    more = f" (nor {', '.join(missing[1:])})" if missing[1:] else ""
    raise DlrunError(
        f"{label} has no column '{missing[0]}', {why}{more}",
        hint=f"rename '{others[near[0]]}' to '{missing[0]}'" if near else f"it has {listed}",
    )


def _encode_column(column: Any, batch: pa.RecordBatch) -> None:
    dtype = np.int32 if column.sizes else np.float32
    column.encode(batch.column(column.name), np.zeros((len(batch), column.width), dtype))


def _no_rows(array: ArraySpec) -> np.ndarray:
    return np.zeros((0, *array.shape), array.dtype)


def _at(every: np.ndarray, rows: np.ndarray, values: Sequence[Any]) -> list[Any]:
    """Values of some rows as those of every row; None for the others."""
    placed: list[Any] = [None] * len(every)
    for place, value in zip(np.searchsorted(every, rows), values, strict=True):
        placed[place] = value
    return placed


def _rows(count: int) -> str:
    return f"{count:,} rows have" if count > 1 else "1 row has"


def _mask(mask: np.ndarray) -> Any:
    import pyarrow as pa

    return pa.array(mask)
