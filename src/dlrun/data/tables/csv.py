"""Comma-separated values, and those with another delimiter; the first row names the columns."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun.data.column_types import WiderType
from dlrun.data.tables import TableOptions

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIXES = (".csv", ".tsv", ".txt")
COMPRESSED = True
BLOCK = 2**20  # bytes parsed at once; four times as many take a third longer
CODE = re.compile(r"0\d+")
DELIMITERS = ",;\t|"
MISSING = ("", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null")
CONVERSION = re.compile(
    r"In CSV column #(\d+): (?:Row #\d+: )?CSV conversion error to [\w\[\], :]+: (.*)", re.DOTALL
)


def batches(
    path: Path, types: Mapping[str, Any], options: TableOptions
) -> Iterator[pa.RecordBatch]:
    """See :mod:`dlrun.data.tables`."""
    import pyarrow as pa
    from pyarrow import csv

    names, delimiter, codes = header(path, options.delimiter)
    texts = {name: pa.string() for name in codes}
    convert = csv.ConvertOptions(
        column_types=texts | {name: kind for name, kind in types.items() if kind is not None},
        null_values=[*MISSING, *options.missing],
        true_values=["true", "True", "TRUE"],
        false_values=["false", "False", "FALSE"],
        strings_can_be_null=True,
        decimal_point=options.decimal,
    )
    parse = csv.ParseOptions(delimiter=delimiter, newlines_in_values=True)

    def read(*, use_threads: bool) -> Iterator[pa.RecordBatch]:
        options = csv.ReadOptions(block_size=BLOCK, use_threads=use_threads)
        with csv.open_csv(path, options, parse, convert) as reader:
            yield from reader

    try:
        yield from read(use_threads=True)
    except pa.ArrowInvalid as error:
        if match := CONVERSION.search(str(error)):
            value = re.sub(r"^invalid value '(.*)'$", r"\1", match[2].strip(), flags=re.DOTALL)
            raise WiderType(names[int(match[1])], value) from error
        if "columns, got" in str(error):  # only one thread always knows the number of the row
            deque(read(use_threads=False), maxlen=0)
        raise


def header(path: Path, delimiter: str | None) -> tuple[list[str], str, list[str]]:
    """What the start of a file tells.

    Returns:
        The names of the columns, the delimiter, which is the most frequent one among them, and the
        columns of codes such as 01234, which are texts: as numbers they would lose the zero.
    """
    import csv

    import pyarrow as pa

    with pa.input_stream(str(path)) as stream:
        start = stream.read(2**16).decode("utf-8-sig", errors="replace")
    line = start.partition("\n")[0].rstrip("\r")
    if delimiter is None:
        outside = re.sub(r'"[^"]*"', "", line)
        delimiter = max(DELIMITERS, key=outside.count)
    names, *rows = list(csv.reader(start.splitlines()[:1000], delimiter=delimiter)) or [[]]
    zeros = [[CODE.fullmatch(value) is not None for value in row] for row in rows[:-1]]
    codes = {names[at] for row in zeros for at, is_code in enumerate(row[: len(names)]) if is_code}
    return names, delimiter, sorted(codes)
