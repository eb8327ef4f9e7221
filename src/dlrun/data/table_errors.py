"""What is wrong with the file of a table, for the user."""

from __future__ import annotations

import re
from pathlib import Path

from dlrun.errors import DlrunError
from dlrun.system.files import is_file

OBJECTS = 'expected a line for each sample, such as {"area": 80, "city": "Ulm"}'


def read_error(path: Path, error: Exception, *, label: str = "data:") -> DlrunError:
    """What is wrong with a file, for the user.

    Args:
        path: The file.
        error: From reading it.
        label: What the message begins with.
    """
    message = str(error)
    if is_file(path) and not path.stat().st_size:
        return DlrunError(f"{label} {path} is empty", hint=rows_hint(path))
    if "Expected" in message and "columns, got" in message:
        where = message.partition("CSV parse error: ")[2].partition(": ")
        row = where[0].replace("Row #", "row ") if "Row #" in where[0] else "a row"
        counts = message[message.index("Expected") :].partition(":")[0]
        counts = counts[0].lower() + counts[1:]
        return DlrunError(
            f"{label} {path}: {row}: {counts}",
            hint="quote values with delimiters in them, or choose another data.delimiter",
        )
    if "invalid UTF8" in message or "invalid UTF-8" in message:
        return DlrunError(f"{label} {path} is not UTF-8", hint=f"iconv -f latin1 -t utf-8 {path}")
    if "straddling object" in message:
        message = "a value is longer than a megabyte"
    if "longer than a megabyte" in message or "never closed" in message:
        hint = "close the quote that begins it, or double a quote within a value"
    elif re.match(r"line \d+ (is|has)", message):  # of JSON lines
        hint = f"{OBJECTS}; for one array of objects: jq -c '.[]' {path} > new.jsonl"
    else:
        hint = "see whether it is the right file, or write it again"
    return DlrunError(f"{label} {path} can't be read: {message.splitlines()[0]}", hint=hint)


def rows_hint(path: Path) -> str:
    """What the rows of a file are expected to be, by its suffix."""
    suffixes = {*path.suffixes}
    if {".jsonl", ".ndjson"} & suffixes:
        return OBJECTS
    if {".csv", ".tsv", ".txt"} & suffixes:
        return "its first row names the columns, the others are samples"
    return "expected a row for each sample"
