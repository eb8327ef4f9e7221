"""Readers of samples that a run is asked about: files, or rows on the standard input.

Each module reads one sort of input, and has

- ``kinds(request)``: what it reads for the run, for messages, such as ``[".npy", ".npz"]``; none if
  the run takes nothing of it, or labels are asked for and it has none.
- ``takes(request)``: whether it reads this input for this run. The first module in alphabetical
  order that does reads it.
- ``Reader(request)``: a :class:`Reader`. It raises :class:`DlrunError` for an input that can't be
  read, or is not what the run takes.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from dlrun.data.table_formats import TableOptions
from dlrun.data.tabular.column_values import WrongValueError
from dlrun.data.tabular.encode_rows import encode_targets
from dlrun.data.targets import Target, columns_of, required_columns
from dlrun.data.tree import Arrays, as_tree, leaves_by_name
from dlrun.errors import DlrunError, list_names

if TYPE_CHECKING:
    from dlrun.data.input_spec import InputSpec

STDIN = "-"
SHOWN = 5  # targets in a message
_ARRAYS = {  # hints for a run that was trained on arrays
    (".npy", ".npz"): "numpy.save('new.npy', samples), as the run was trained on arrays",
    (".npz",): "numpy.savez('new.npz', x=inputs, y=labels), as the run was trained on arrays",
}


@dataclass(frozen=True)
class Request:
    """What to read, and for which run.

    Args:
        source: A file, a folder, a pattern, or ``-`` for the standard input.
        spec: What the run takes. Its preprocessing is applied.
        key: The option that names the source, for messages.
        rows: How many samples to read at once, if they are not in memory.
        array: The array of an ``.npz``; None if the file tells.
        ids: Columns that name the rows; empty to find them.
        labels: Whether the samples' labels are read too.
        weight: The column that weighs the samples, if labels are read; None for none.
        blank: What a blank cell of a target of lists is, as for :func:`dlrun.data.table.table`.
        format: Of a table whose suffix does not tell.
        encoding: Of files of texts; None for a run that was not trained on such files.
        image: The column of a table that names images; None to find it.
        table: How to read a table.
    """

    source: Path
    spec: InputSpec
    key: str = "--input"
    rows: int = 1024
    array: str | None = None
    ids: tuple[str, ...] = ()
    labels: bool = False
    weight: str | None = None
    blank: str = "missing"
    format: str | None = None
    encoding: str | None = None
    image: str | None = None
    table: TableOptions = field(default_factory=TableOptions)


@dataclass(frozen=True)
class Part:
    """Some samples, one after the other.

    Args:
        inputs: Those that could be read, in the form of ``InputSpec.inputs``.
        rows: The number of each sample in its file, from 1, also of those that could not,
            ``(rows,)`` int64.
        source: The option and the file, for messages; the option alone if each sample has a file.
        wrong: What is wrong with each sample that could not be read, by its place in ``rows``.
        hints: How to mend it, where more is known than to correct it.
        names: What names the samples, by column: ids, or files; ``rows`` values each.
        labels: The labels of those that could be read, if they were asked for.
        files: The file of each sample, if each has its own; ``rows`` paths.
        weights: What each of those counts, float32 ``(samples,)``; None if nothing weighs them.
        series: The series that each sample is, if samples are such; ``rows`` names.
    """

    inputs: Arrays
    rows: np.ndarray
    source: str
    wrong: Mapping[int, str] = field(default_factory=dict)
    names: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    labels: Arrays | None = None
    weights: np.ndarray | None = None
    files: Sequence[Path] | None = None
    series: Sequence[str] | None = None
    hints: Mapping[int, str] = field(default_factory=dict)

    @property
    def nouns(self) -> tuple[str, str]:
        """What a sample is, for messages: one, and several."""
        if self.series is not None:
            return "series", "series"
        return ("row", "rows") if self.files is None else ("file", "files")

    def place(self, number: int) -> str:
        """Where a sample is, for messages.

        Args:
            number: Its place in ``rows``.
        """
        if self.files is not None:
            return f"{self.source} {self.files[number]}"
        if self.series is not None:
            return f"{self.source}: series '{self.series[number]}'"
        return f"{self.source}: row {self.rows[number]:,}"

    @property
    def is_right(self) -> np.ndarray:
        """Whether each sample could be read, ``(rows,)`` bool."""
        right = np.ones(len(self.rows), bool)
        right[list(self.wrong)] = False
        return right


class Reader(Protocol):
    """Reads one input."""

    @property
    def files(self) -> Sequence[Path]:
        """What is read; ``-`` for the standard input."""

    def parts(self) -> Iterator[Part]:
        """All samples, once and in order.

        Raises:
            DlrunError: If a file is damaged, or not what the run takes.
        """

    def notes(self) -> list[str]:
        """What was unusual in the samples read so far, one line each."""


def targets_of(spec: InputSpec) -> dict[str | None, Target]:
    """The targets by output; None names a single one."""
    named = leaves_by_name(spec.targets)
    return {name: target for name, target in named.items() if target is not None}


def refuse_ids(request: Request, why: str | None = None) -> None:
    """Refuse columns that name the rows, for samples that are no rows of a table.

    Args:
        request: May have some.
        why: What is the case; None says that it is no table.
    """
    if request.ids:
        why = why or f"names a column, and {request.source} is no table"
        raise DlrunError(f"--id {request.ids[0]}: {why}", hint="leave it out")


def required_targets(request: Request) -> list[str]:
    """The columns without whose value a sample has no target."""
    return required_columns(targets_of(request.spec).values(), request.blank)


def without_target_note(request: Request, count: int) -> list[str]:
    """How many samples are left out as they have no target, as a line; none if there are none."""
    if not count:
        return []
    targets = columns_of(targets_of(request.spec).values())
    rows, are = (f"{count:,} rows have", "are") if count > 1 else ("1 row has", "is")
    which = list_names(targets, SHOWN) if len(targets) > SHOWN else " or ".join(targets)
    return [f"{rows} no {which}, and {are} left out"]


def encode_labels(
    request: Request, columns: Mapping[str, Any], place: Callable[[int], object]
) -> Arrays:
    """The labels of samples that are files.

    Args:
        request: Names them, and has the targets.
        columns: The classes that their folders are, or what a table says of each; pyarrow arrays.
            Those of :func:`required_targets` have a value for each sample.
        place: Where the sample of a row of these is, for messages.

    Raises:
        DlrunError: If a column is missing, or a label is unlike those of the run.
    """
    label = f"{request.key} {request.source}"
    targets = targets_of(request.spec)
    for name in columns_of(targets.values()):
        if name not in columns:
            raise DlrunError(
                f"{label} has no column '{name}', which the run predicts",
                hint=f"name a table with a column '{name}' and one of the files' paths",
            )
    try:
        return as_tree(encode_targets(targets, columns))
    except WrongValueError as error:
        raise DlrunError(
            f"{label}: {place(error.row)}: {error.column} {error.problem}",
            hint="correct it, or leave it out",
        ) from error


def open_reader(request: Request) -> Reader:
    """The reader of an input.

    Raises:
        DlrunError: If nothing reads it, or it is missing, damaged or of another form.
    """
    names = [module.name for module in pkgutil.iter_modules(__path__)]
    modules = [importlib.import_module(f"{__name__}.{name}") for name in names]
    for module in modules:
        if module.takes(request):
            reader: Reader = module.Reader(request)
            return reader
    kinds = [kind for module in modules for kind in module.kinds(request)]
    what = " or ".join(filter(None, [", ".join(kinds[:-1]), kinds[-1]]))
    raise DlrunError(
        f"{request.key} {request.source}: expected a {what} file",
        hint=_ARRAYS.get(tuple(kinds), "name a file, or a folder of them"),
    )
