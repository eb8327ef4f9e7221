"""What is wrong with a table, for the user."""

from __future__ import annotations

import re
from pathlib import Path

from dlrun.errors import DlrunError
from dlrun.system.files import is_file

OBJECTS = 'expected a line for each sample, such as {"area": 80, "city": "Ulm"}'


class SeriesError(ValueError):
    """Rows that are not time series.

    Args:
        problem: What is wrong, with the row in the table, from 1.
        hint: How to mend it.
    """

    def __init__(self, problem: str, hint: str) -> None:
        self.hint = hint
        super().__init__(problem)


def read_error(path: Path, error: Exception, *, label: str = "data:") -> DlrunError:
    """What is wrong with a file, for the user.

    Args:
        path: The file.
        error: From reading it.
        label: What the message begins with.
    """
    message = str(error)
    if is_file(path) and (not path.stat().st_size or "Empty CSV file" in message):
        return DlrunError(f"{label} {path} is empty", hint=rows_hint(path))
    if "Expected" in message and "columns, got" in message:
        return _ragged(path, message, label)
    if "invalid UTF8" in message or "invalid UTF-8" in message or "'utf-8' codec" in message:
        with path.open("rb") as file:
            known = "utf-16" if file.read(2) in (b"\xff\xfe", b"\xfe\xff") else "latin1"
        return DlrunError(
            f"{label} {path} is not UTF-8",
            hint=f"iconv -f {known} -t utf-8 {path} > new{path.suffix}",
        )
    if "straddling object" in message:
        message = "a value is longer than a megabyte"
    if "longer than a megabyte" in message or "never closed" in message:
        hint = "close the quote that begins it, or double a quote within a value"
    elif re.match(r"line \d+ (is|has)", message):  # of JSON lines
        hint = f"{OBJECTS}; for one array of objects: jq -c '.[]' {path} > new.jsonl"
    else:
        hint = "see whether it is the right file, or write it again"
    return DlrunError(f"{label} {path} can't be read: {message.splitlines()[0]}", hint=hint)


def _ragged(path: Path, message: str, label: str) -> DlrunError:
    """A row of a CSV with more or fewer values than the first; pyarrow counts the names as one."""
    number = re.search(r"Row #(\d+)", message)
    row = f"row {int(number[1]) - 1:,}" if number else "a row"
    counts, _, start = message[message.index("Expected") :].partition(": ")
    return DlrunError(
        f"{label} {path}: {row}: {counts[0].lower()}{counts[1:]}",
        hint="close the quote that begins in it, or double a quote within a value"
        if start.count('"') % 2
        else "quote values with delimiters in them, or choose another data.delimiter",
    )


def rows_hint(path: Path) -> str:
    """What the rows of a file are expected to be, by its suffix."""
    suffixes = {*path.suffixes}
    if {".jsonl", ".ndjson"} & suffixes:
        return OBJECTS
    if {".csv", ".tsv", ".txt"} & suffixes:
        return "its first row names the columns, the others are samples"
    return "expected a row for each sample"
