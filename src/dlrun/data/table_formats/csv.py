"""Comma-separated values, and those with another delimiter; the first row names the columns."""

from __future__ import annotations

import io
import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlrun.data.table_formats import TableOptions
from dlrun.data.tabular.column_types import WiderType, not_utf8
from dlrun.data.tabular.csv_parts import UnclearRowsError, parts, require_whole_rows
from dlrun.data.tabular.number_types import DIGITS, large_integer
from dlrun.system.threads import map_in_order

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIXES = (".csv", ".tsv", ".txt")
COMPRESSED = True
BLOCK = 2**20  # bytes parsed at once; four times as many take a third longer
PART_BLOCK = 2 * 2**20  # of a part, at once
THREADS = 4  # parse parts at most, each of which takes 20 MB
CODE = re.compile(r"0\d+")
DELIMITERS = ",;\t|"
MISSING = ("", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null")
COLUMN = re.compile(r"In CSV column #(\d+): ")
CONVERSION = re.compile(
    r"In CSV column #(\d+): (?:Row #\d+: )?CSV conversion error to [\w\[\], :]+: (.*)", re.DOTALL
)


def batches(
    path: Path, types: Mapping[str, Any], options: TableOptions
) -> Iterator[pa.RecordBatch]:
    """See :mod:`dlrun.data.table_formats`."""
    import pyarrow as pa

    head = header(path, options)
    known = {name: kind for name, kind in types.items() if kind is not None}
    file = _File(path, head, options, dict.fromkeys(head.codes, pa.string()) | known)
    try:
        for number, batch in enumerate(file.batches()):
            if not number:
                _require_exact(file, batch, known)
            yield batch
    except pa.ArrowInvalid as error:
        number_only = COLUMN.match(str(error))  # a decimal's value is not in the message
        if number_only and known.get(name := head.names[int(number_only[1])]) == large_integer():
            raise WiderType(name, other=pa.float64()) from error
        if match := CONVERSION.search(str(error)):
            if "invalid UTF8" in match[2]:
                raise not_utf8(path, head.names[int(match[1])]) from error
            value = re.sub(r"^invalid value '(.*)'$", r"\1", match[2].strip(), flags=re.DOTALL)
            raise WiderType(head.names[int(match[1])], value) from error
        if "columns, got" in str(error):  # only one thread always knows the number of the row
            deque(file.read(use_threads=False), maxlen=0)
        raise


def _require_exact(file: _File, batch: pa.RecordBatch, known: Mapping[str, Any]) -> None:
    """Ask for large integers, which pyarrow takes for float64, as such.

    Args:
        file: The file.
        batch: Its first rows.
        known: The types that they were read with.
    """
    import pyarrow as pa

    for name, array in zip(batch.schema.names, batch.columns, strict=True):
        if name in known or not pa.types.is_float64(array.type):
            continue
        numbers = array.drop_null().to_numpy()
        is_large = (np.abs(numbers) >= 2**63).any() and (numbers == np.floor(numbers)).all()
        if is_large and file.has_digits(name, len(batch)):
            raise WiderType(name, other=large_integer())


def check_last_value(path: Path, value: Any, row: int) -> None:
    """Refuse a last value whose quote is never closed: it would hold all rows after it.

    Args:
        path: The file.
        value: Of the last row, in the last column.
        row: The number of the row, from 1.

    Raises:
        ValueError: If the value is of several lines, and the file does not end with a quote.
    """
    import pyarrow as pa

    if not isinstance(value, str) or "\n" not in value:
        return
    end = b""
    with pa.input_stream(str(path)) as stream:
        while block := stream.read(2**20):
            end = (end + block).rstrip()[-1:]
    if end != b'"':
        raise ValueError(f"row {row:,}: the quote of its last value is never closed")


@dataclass
class _File:
    """A CSV file; ``types`` are those of the columns that are known so far."""

    path: Path
    head: Header
    options: TableOptions
    types: dict[str, Any]

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All rows: in parts on all cores, and from where a row may be of several lines in turn."""
        rows = 0
        try:
            for batch in self._read_parts():
                yield batch
                rows += len(batch)
        except UnclearRowsError:
            yield from self.read(after=rows)

    def _read_parts(self) -> Iterator[pa.RecordBatch]:
        """The rows of each part; the first tells the types, the others are parsed side by side."""
        import pyarrow as pa

        with pa.input_stream(str(self.path)) as stream:
            cut = parts(stream)
            first = self._parse(next(cut))
            names = first.schema.names
            self.types |= zip(names, first.schema.types, strict=True)
            yield first
            parse = partial(self._parse, names=names)
            threads = min(pa.cpu_count(), THREADS)
            yield from map_in_order(parse, cut, threads=threads, ahead=threads + 1)

    def _parse(self, part: bytearray, names: list[str] | None = None) -> pa.RecordBatch:
        """The rows of a part; without names, its first row names the columns."""
        import pyarrow as pa
        from pyarrow import csv

        require_whole_rows(part, self.head.delimiter)
        read = csv.ReadOptions(
            block_size=PART_BLOCK,
            column_names=names,
            skip_rows=self.head.skipped if names is None else 0,
            use_threads=names is None,
        )
        parse = self.head.parse_options()
        table = csv.read_csv(pa.py_buffer(part), read, parse, self._convert())
        batches = table.combine_chunks().to_batches()
        return batches[0] if batches else pa.RecordBatch.from_pylist([], table.schema)

    def has_digits(self, column: str, rows: int) -> bool:
        """Whether the first rows of a column are written as integers: 6.02e23 and 9.0 are not."""
        import pyarrow as pa
        import pyarrow.compute as pc
        from pyarrow import csv

        read = csv.ReadOptions(block_size=BLOCK, skip_rows=self.head.skipped)
        parse = self.head.parse_options(newlines_in_values=True)
        convert = convert_options(
            self.options, column_types={column: pa.string()}, include_columns=[column]
        )
        with csv.open_csv(self.path, read, parse, convert) as reader:
            for batch in reader:
                texts = batch.column(0)[:rows]
                digits = pc.match_substring_regex(texts, f"^{DIGITS.pattern}$")
                if not pc.all(digits, min_count=0).as_py():
                    return False
                rows -= len(texts)
                if not rows:
                    break
        return True

    def read(self, after: int = 0, *, use_threads: bool = True) -> Iterator[pa.RecordBatch]:
        """The rows after the first ones, from a reader that knows of line breaks in quotes."""
        from pyarrow import csv

        read = csv.ReadOptions(
            block_size=BLOCK,
            use_threads=use_threads,
            skip_rows=self.head.skipped,
            skip_rows_after_names=after,
        )
        parse = self.head.parse_options(newlines_in_values=True)
        with csv.open_csv(self.path, read, parse, self._convert()) as reader:
            batch = None
            for batch in reader:
                yield batch
                after += len(batch)
        if batch is not None and len(batch):
            check_last_value(self.path, batch.column(-1)[-1].as_py(), after)

    def _convert(self) -> pa.csv.ConvertOptions:
        return convert_options(
            self.options,
            column_types=self.types,
            true_values=["true", "True", "TRUE"],
            false_values=["false", "False", "FALSE"],
            decimal_point=self.options.decimal,
        )


def convert_options(options: TableOptions, **others: Any) -> pa.csv.ConvertOptions:
    """The options of pyarrow that say what is missing, with others beside."""
    from pyarrow import csv

    missing = [*MISSING, *options.missing]
    return csv.ConvertOptions(null_values=missing, strings_can_be_null=True, **others)


@dataclass(frozen=True)
class Header:
    """What the start of a file tells.

    Attributes:
        names: Of the columns.
        delimiter: The most frequent one among the names, unless one is given.
        codes: The columns of codes such as 01234, which are texts: as numbers they would lose the
            zero.
        skipped: Lines without a character before the names of a file of a single column; before
            several, pyarrow skips them by itself.
    """

    names: list[str]
    delimiter: str
    codes: list[str]
    skipped: int

    def parse_options(self, **options: Any) -> pa.csv.ParseOptions:
        """The options of pyarrow, with these besides.

        In a file of a single column, an empty line is a row whose value is missing, as pyarrow,
        polars and DuckDB write it; pyarrow skips it by default, and each row after it would move.
        """
        from pyarrow import csv

        is_row = len(self.names) == 1
        return csv.ParseOptions(delimiter=self.delimiter, ignore_empty_lines=not is_row, **options)


def header(path: Path, options: TableOptions) -> Header:
    """Read the start of a file.

    Args:
        path: The file; lines without a character before the names are skipped.
        options: How to read it.
    """
    import csv

    import pyarrow as pa

    with pa.input_stream(str(path)) as stream:
        read = stream.read(2**16)
        # The names of thousands of columns take more.
        while not re.search(rb"[\r\n]", read.strip()) and (more := stream.read(2**16)):
            read += more
            if len(read) > BLOCK:
                raise ValueError("no line ends within a megabyte")
    decoded = read.decode("utf-8-sig", errors="replace")
    start = decoded.lstrip("\r\n")
    before = decoded[: len(decoded) - len(start)].splitlines()
    line = start.partition("\n")[0].rstrip("\r")
    delimiter = options.delimiter
    if delimiter is None:
        outside = re.sub(r'"[^"]*"', "", line)
        delimiter = max((d for d in DELIMITERS if d != options.decimal), key=outside.count)
    reader = csv.reader(io.StringIO(start, newline=""), delimiter=delimiter)
    try:
        names, *rows = list(islice(reader, 1000)) or [[]]
    except csv.Error as error:  # a name of more than 100,000 characters
        raise ValueError(f"the names of its columns: {error}") from error
    zeros = [[CODE.fullmatch(value) is not None for value in row] for row in rows[:-1]]
    codes = {names[at] for row in zeros for at, is_code in enumerate(row[: len(names)]) if is_code}
    return Header(names, delimiter, sorted(codes), len(before) if len(names) == 1 else 0)
