"""A table: its columns are the inputs and the targets."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlrun.data import columns
from dlrun.data.cache import cache_entry, content_key, key_of, limit_of
from dlrun.data.columns import InputColumn
from dlrun.data.description.table import describe_table
from dlrun.data.source import Description
from dlrun.data.splits import SplitOptions, file_split, resolve_way
from dlrun.data.table_formats import TableFiles, TableOptions, find_files, import_pyarrow
from dlrun.data.tabular import encode
from dlrun.data.tabular.cached_table import TABLE, Content, batches, read_content, write_content
from dlrun.data.tabular.inputs import find_inputs, find_notes
from dlrun.data.tabular.profile import ColumnProfile
from dlrun.data.tabular.reading_options import reading_options
from dlrun.data.tabular.row_names import RowNames, find_ids
from dlrun.data.tabular.splits import split_table
from dlrun.data.tabular.targets import find_targets
from dlrun.data.targets import KINDS, Target, columns_of
from dlrun.errors import DlrunError
from dlrun.system.files import is_dir

if TYPE_CHECKING:
    import pyarrow as pa

    from dlrun.data.dataset import Dataset
    from dlrun.data.input_spec import InputSpec
    from dlrun.data.tabular.encode_rows import RowEncoder

log = logging.getLogger("dlrun")

BLANKS = ("missing", "no_class")  # the row has no target, or none of the classes


def table(
    *,
    path: str,
    target: str | int | Sequence[str | int] | None = None,
    format: str | None = None,
    kind: str | None = None,
    blank: str = "missing",
    columns: Mapping[str, Any] | None = None,
    drop: Sequence[str | int] | None = (),
    weight: str | int | None = None,
    split: str = "auto",
    by: str | int | None = None,
    validation: float = 0.15,
    test: float = 0.15,
    folds: int | None = None,
    fold: int | None = 0,
    seed: int = 0,
    numbers: Mapping[str, Any] | None = None,
    categories: Mapping[str, Any] | None = None,
    texts: Mapping[str, Any] | None = None,
    delimiter: str | None = None,
    decimal: str = ".",
    missing: Sequence[str] = (),
    limit: int | None = None,
    cache_gb: float = 10.0,
) -> Table:
    """Rows of a table; what its columns are is found, unless it is said.

    Args:
        path: A file, a folder of files, or a pattern.
        target: The column to predict, or several; None only to describe the table.
        format: A module of :mod:`dlrun.data.table_formats`; None goes by the suffix.
        kind: The task, one of :data:`dlrun.data.targets.KINDS`; None is found from the target.
        blank: What a blank cell of a ``multilabel`` target is, one of :data:`BLANKS`.
        columns: What a column is: a kind of :mod:`dlrun.data.columns`, or a mapping with ``kind``
            and its options, or ``drop``. The others are found.
        drop: Columns to leave out.
        weight: The column of sample weights.
        split: As :class:`dlrun.data.splits.SplitOptions`, like the following six.
        by: The column to split by.
        validation: The share, or the number, of rows to validate on.
        test: The share, or the number, of rows to test on.
        folds: Parts for cross-validation.
        fold: The part to test on.
        seed: Seeds the split.
        numbers: Options of all columns of numbers.
        categories: Options of all columns of categories.
        texts: Options of all columns of texts.
        delimiter: As :func:`dlrun.data.tabular.reading_options.reading_options`, like the next two.
        decimal: The decimal point of a CSV.
        missing: Texts that stand for a missing value.
        limit: Keep the first N rows of each split.
        cache_gb: What the data cache may hold, in GB.

    Raises:
        DlrunError: If an argument is impossible.
    """
    weighing, by = (None if name is None else str(name) for name in (weight, by))
    options = SplitOptions(split, by, validation, test, folds, fold or 0, seed)
    options.check()
    targets = column_names(target)
    if len(set(targets)) < len(targets):
        raise DlrunError("data.target: expected different columns", hint="data.target=COLUMN")
    if kind is not None and kind not in KINDS:
        raise DlrunError(f"data.kind={kind}: expected {', '.join(KINDS)}")
    if blank not in BLANKS:
        raise DlrunError(f"data.blank={blank}: expected {' or '.join(BLANKS)}")
    return Table(
        path=path,
        format=format,
        table_options=reading_options(delimiter, decimal, missing),
        targets=targets,
        kind=kind,
        blank=blank,
        given={str(name): kind for name, kind in (columns or {}).items()},
        drop=column_names(drop),
        weight=weighing,
        split_options=options,
        kind_options={
            "number": dict(numbers or {}),
            "category": dict(categories or {}),
            "text": dict(texts or {}),
        },
        limit=limit,
        cache_bytes=limit_of(cache_gb),
    )


def column_names(names: Any) -> tuple[str, ...]:
    """Columns as a config names them: one or several, and 0 is the column called 0."""
    several = names if isinstance(names, Sequence) and not isinstance(names, str) else [names]
    return tuple(str(name) for name in several if name is not None)


@dataclass(frozen=True)
class Table:
    """A table as a :class:`dlrun.data.source.Source`; the arguments are those of :func:`table`.

    With ``known``, what encodes the rows of a run, no column is found, nor a target.
    """

    path: str
    format: str | None
    table_options: TableOptions
    targets: tuple[str, ...]
    kind: str | None
    given: Mapping[str, Any]
    drop: tuple[str, ...]
    weight: str | None
    split_options: SplitOptions
    kind_options: Mapping[str, Mapping[str, Any]]
    limit: int | None
    cache_bytes: float
    blank: str = field(default="missing", kw_only=True)
    known: RowEncoder | None = field(default=None, kw_only=True)
    has_missing: bool = field(default=True, kw_only=True)  # whether data.missing is a key

    @property
    def files(self) -> TableFiles:
        """What is read."""
        return find_files(self.path, self.format, self.table_options)

    @cached_property
    def entry(self) -> Path:
        """The table in the cache, as an Arrow file with its profile."""
        files = self.files

        def make(directory: Path) -> None:
            rows = files.convert(directory / TABLE)
            write_content(directory, zip(names, rows, strict=True))

        names = [_relative(path, self.path) for path in files.paths]
        try:
            content = content_key(list(files.paths), import_pyarrow)
        except OSError as error:
            raise DlrunError(f"data.path={self.path} can't be read: {error.strerror}") from error
        key = key_of("table", content, names, files.format, vars(self.table_options))
        return cache_entry(key, make, limit_bytes=self.cache_bytes)

    @cached_property
    def _content(self) -> Content:
        return read_content(self.entry)

    @property
    def file_rows(self) -> list[tuple[str, int]]:
        """The rows of each file, in order."""
        return self._content.files

    @property
    def profiles(self) -> dict[str, ColumnProfile]:
        """Each column, in the table's order."""
        return self._content.profiles

    @cached_property
    def labels(self) -> dict[str | None, Target]:
        """The outputs, by name; None is a single one. Their numbers are not measured yet."""
        return dict(self.known.targets) if self.known else find_targets(self)

    @cached_property
    def inputs(self) -> dict[str, InputColumn]:
        """What each input column is, by name; of a run's columns, without options."""
        if self.known:
            fitted = self.known.columns.fitted
            return {column.name: InputColumn(columns.kind_of(column), {}) for column in fitted}
        return find_inputs(self)

    @cached_property
    def notes(self) -> list[str]:
        """What was decided that one may not expect, one line each."""
        return find_notes(self)

    @property
    def id_column(self) -> str | None:
        """The column whose values name the rows; None if there is none."""
        used = {*self.inputs, *columns_of(self.labels.values())}
        return next(iter(find_ids(self.profiles, used)), None)

    @property
    def row_names(self) -> Sequence[object] | None:
        """What a user knows the rows by; None for their numbers."""
        column = self.id_column
        return None if column is None else RowNames(self.entry / TABLE, column)

    def batches(self, names: Collection[str] | None = None) -> Iterator[pa.RecordBatch]:
        """All rows, in the table's order.

        Args:
            names: The columns to read; None for all.
        """
        return batches(self.entry / TABLE, names)

    @cached_property
    def splits(self) -> np.ndarray:
        """The split of each row, ``(rows,)`` uint8."""
        return split_table(self)

    def tasks(self) -> Mapping[str | None, str]:
        """See :class:`dlrun.data.source.Source`."""
        return {name: target.kind for name, target in self.labels.items()}

    def describe(self) -> Description:
        """See :class:`dlrun.data.source.Source`; without a target, of the columns alone."""
        return describe_table(self)

    def explicit(self) -> dict[str, Any]:
        """The arguments of :func:`table` that say what was found."""
        used = {self.weight, self.way.by, *self.inputs, *columns_of(self.labels.values())}
        kinds = {target.kind for target in self.labels.values()}
        return {
            "path": self.path,
            "target": list(self.targets) if len(self.targets) > 1 else self.targets[0],
            "kind": kinds.pop() if len(kinds) == 1 else None,
            **({"blank": self.blank} if self._has_blanks else {}),
            "columns": {
                name: {"kind": column.kind, **column.options} if column.options else column.kind
                for name, column in self.inputs.items()
            },
            "drop": [name for name in self.profiles if name not in used],
            "split": self.way.way,
            "by": self.way.by,
        }

    @property
    def _has_blanks(self) -> bool:
        return any(target.kind == "multilabel" for target in self.labels.values())

    @cached_property
    def way(self) -> SplitOptions:
        """How the rows are split, with nothing left to find."""
        files = [file_split(name) for name, _ in self.file_rows]
        [first, *more] = self.labels.values()
        classes = not more and first.kind in ("classification", "binary_classification")
        return resolve_way(self.split_options, list(self.profiles), files, classes=classes)

    def dataset(self, saved: InputSpec | None = None) -> Dataset:
        """See :class:`dlrun.data.source.Source`."""
        of = self if saved is None else replace(self, known=encode.saved_encoder(self, saved))
        for note in of.notes:
            log.info("data   %s", note)
        return encode.dataset(of)


def _relative(path: Path, root: str) -> str:
    folder = Path(root)
    return str(path.relative_to(folder)) if is_dir(folder) else path.name
