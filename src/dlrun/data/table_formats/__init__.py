"""Tables: files of rows and columns, read in batches with pyarrow.

Each module reads one format, and is named as its usual suffix, as ``csv`` reads ``.csv``. It has

- ``SUFFIXES``: the suffixes of its files, each of which ``.gz`` may follow if ``COMPRESSED``.
- ``batches(path, types, options)``: an iterator of ``pyarrow.RecordBatch``. ``types`` are the
  columns whose types are known. It raises ``WiderType`` of ``data.tabular.column_types`` for a
  value that does not fit the type of the rows before it, ``ValueError`` or ``OSError`` for a
  damaged file. A file without rows gives a batch without rows, which tells the columns.

With a YAML in ``configs/data`` that is all: ``dlrun predict`` reads the format by it, too, unless
:mod:`dlrun.data.row_formats` has a module of that name that does it better.

All columns are read as one of ``data.tabular.column_types.TYPES``, or without their values:
``other_type``.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from dlrun.data.files.own_files import near_path
from dlrun.data.tabular.column_types import WiderType, is_other, normal_batch
from dlrun.data.tabular.errors import read_error, rows_hint
from dlrun.data.tabular.number_types import wider_type
from dlrun.errors import DlrunError, nearest
from dlrun.system.files import is_dir, is_file
from dlrun.system.packages import require_package

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_BYTES = 16 * 2**20  # of the Arrow file that a table is converted to


@dataclass(frozen=True)
class TableOptions:
    """How to read a table; a format uses what applies to it.

    Args:
        delimiter: Between the columns of a CSV; None finds one of comma, semicolon, tab and bar.
        decimal: The decimal point of a CSV.
        missing: Texts that stand for a missing value, beside the empty one, NA, NaN and null.
    """

    delimiter: str | None = None
    decimal: str = "."
    missing: tuple[str, ...] = ()


@dataclass
class TableFiles:
    """The files of one table, in order.

    Args:
        root: What the user named: a file, a folder or a pattern.
        paths: The files, sorted by path.
        format: The module that reads them.
        options: How to read them.
    """

    root: str
    paths: Sequence[Path]
    format: str
    options: TableOptions = field(default_factory=TableOptions)

    def batches(self, types: dict[str, Any]) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Read all rows, each batch with the number of its file.

        Args:
            types: The columns whose types are known; the others' are added as they are found.

        Yields:
            Batches whose columns are of ``TYPES``, or of ``other_type``.

        Raises:
            DlrunError: If a file is damaged or empty, or has other columns than the first one.
            WiderType: If a value does not fit the type of its column.
        """
        reader = importlib.import_module(f"{__name__}.{self.format}")
        columns: list[str] = []
        for number, path in enumerate(self.paths):
            try:
                for batch in reader.batches(path, types, self.options):
                    names = batch.schema.names
                    if not columns:
                        _check_names(path, names)
                        columns = list(names)
                    elif set(names) != set(columns):
                        raise DlrunError(
                            f"data: {path} has other columns than {self.paths[0]}: "
                            + _difference(columns, names),
                            hint="name the files of one table by a pattern in data.path",
                        )
                    others = self.format != "csv"  # whose bytes are to be texts
                    selected = batch.select(columns)
                    yield number, normal_batch(selected, types, path, others=others)
            except (OSError, ValueError, EOFError) as error:
                raise read_error(path, error) from error

    def read(self) -> dict[str, pa.Array]:
        """All rows in memory, by column, but for those whose values nothing reads.

        Raises:
            DlrunError: As :meth:`convert`.
        """
        import pyarrow as pa

        with TemporaryDirectory() as directory:
            target = Path(directory) / "rows.arrow"
            self.convert(target)
            with pa.OSFile(str(target)) as file:
                table = pa.ipc.open_file(file).read_all().combine_chunks()
        columns = {name: table.column(name).chunk(0) for name in table.column_names}
        return {name: c for name, c in columns.items() if not is_other(c.type)}

    def convert(self, target: Path) -> list[int]:
        """Write all rows as one Arrow file, which is read without parsing.

        Args:
            target: The new file.

        Returns:
            The number of rows of each file.

        Raises:
            DlrunError: As :meth:`batches`, and if there is no row.
        """
        types: dict[str, Any] = {}
        while True:
            try:
                return self._convert(target, types)
            except WiderType as wider:  # the type is known from the beginning the next time
                if wider.other is not None:
                    types[wider.column] = wider.other
                    continue
                known = types.get(wider.column)
                types[wider.column] = wider_type(known, wider.value)
                if types[wider.column] == known:
                    raise DlrunError(
                        f"data: {self.root}: column '{wider.column}' has texts, and"
                        f" {wider.value!r:.80}, which is none",
                        hint="give it values of one kind, or write the table without it",
                    ) from wider

    def _convert(self, target: Path, types: dict[str, Any]) -> list[int]:
        import pyarrow as pa

        rows = [0] * len(self.paths)
        writer: Any = None
        waiting: list[Any] = []
        size = 0

        def write() -> None:
            # Whatever reads a column calls NumPy once for each batch.
            table = pa.Table.from_batches(waiting).combine_chunks()
            writer.write_table(table)
            waiting.clear()

        try:
            for number, batch in self.batches(types):
                if writer is None:
                    writer = pa.ipc.new_file(str(target), batch.schema)
                rows[number] += len(batch)
                waiting.append(batch)
                size += batch.nbytes
                if size >= BATCH_BYTES:
                    write()
                    size = 0
            if waiting:
                write()
        finally:
            if writer is not None:
                writer.close()
        if not sum(rows):
            raise DlrunError(f"data: {self.root} has no rows", hint=rows_hint(self.paths[0]))
        return rows


def import_pyarrow() -> None:
    """Import what reads tables, in half a second: pyarrow looks for pandas at its first array."""
    import pyarrow as pa
    import pyarrow.compute

    pa.array([0])


def find_files(
    path: str, format: str | None, options: TableOptions, *, key: str = "data.path="
) -> TableFiles:
    """The files of a table, and their format.

    Args:
        path: A file, a folder, or a pattern such as ``sales/*.parquet``.
        format: A module of this package; None goes by the suffix.
        options: How to read them.
        key: How the user names the files, for messages.

    Raises:
        DlrunError: If there is none, or nothing reads it.
    """
    require_package("pyarrow", "a table", "data")
    if format not in (None, *formats_of_tables()):
        near = nearest(str(format), formats_of_tables())
        raise DlrunError(
            f"data.format={format}: expected {', '.join(formats_of_tables())}",
            hint=f"did you mean data.format={near}?" if near else None,
        )
    root = Path(path)
    if is_file(root):
        paths = [root]
    elif is_dir(root):
        kinds = suffixes(format)
        paths = sorted(p for p in root.rglob("*") if suffix_of(p) in kinds and is_file(p))
        if not paths:
            raise DlrunError(
                f"{key}{path}: no table in this folder", hint=f"one of {', '.join(kinds)}"
            )
    else:
        start = Path(root.anchor)
        pattern = str(root.relative_to(start)) if root.anchor else path
        try:
            paths = sorted(p for p in start.glob(pattern) if is_file(p))
        except (OSError, ValueError):  # no name of a file: it is too long, or x**
            paths = []
        if not paths:
            raise DlrunError(f"{key}{path}: no such file", hint=near_path(root))
    formats = {format_of(p) for p in paths} if format is None else {format}
    if None in formats or len(formats) > 1:
        known = ", ".join(suffixes(None))
        raise DlrunError(
            f"{key}{path}: expected files of one kind, one of {known}",
            hint=f"data={', '.join(formats_of_tables())} names the format of other suffixes",
        )
    [found] = formats
    return TableFiles(path, paths, str(found), options)


def formats_of_tables() -> list[str]:
    """The formats, which are the names of the modules here."""
    return [module.name for module in pkgutil.iter_modules(__path__)]


def suffixes(format: str | None) -> list[str]:
    """The suffixes of one format, or of all."""
    return [suffix for suffix, name in _formats().items() if format in (None, name)]


def suffix_of(path: Path) -> str:
    """The suffix of a file, with that of its compression."""
    parts = path.suffixes[-2:] if path.suffix == ".gz" else path.suffixes[-1:]
    return "".join(parts).lower()


def format_of(path: Path) -> str | None:
    """The format of a file by its suffix; None if nothing reads it."""
    return _formats().get(suffix_of(path))


@cache
def _formats() -> dict[str, str]:
    """The format of each suffix."""
    found: dict[str, str] = {}
    for name in formats_of_tables():
        reader = importlib.import_module(f"{__name__}.{name}")
        found |= dict.fromkeys(reader.SUFFIXES, name)
        if reader.COMPRESSED:
            found |= dict.fromkeys([f"{suffix}.gz" for suffix in reader.SUFFIXES], name)
    return found


def _check_names(path: Path, names: Sequence[str]) -> None:
    seen: set[str] = set()
    for number, name in enumerate(names, 1):
        if not name.strip():
            raise DlrunError(
                f"data: {path}: column {number} has no name", hint="name it in the first row"
            )
        if name in seen:
            raise DlrunError(
                f"data: {path} has two columns named '{name}'", hint="rename one of them"
            )
        seen.add(name)


def _difference(expected: Sequence[str], names: Sequence[str]) -> str:
    missing = [f"no '{name}'" for name in expected if name not in names]
    more = [f"'{name}' more" for name in names if name not in expected]
    return ", ".join([*missing, *more][:5])
