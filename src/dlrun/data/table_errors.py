"""What is wrong with the file of a table, for the user."""

from __future__ import annotations

from pathlib import Path

from dlrun.errors import DlrunError


def read_error(path: Path, error: Exception, *, label: str = "data:") -> DlrunError:
    """What is wrong with a file, for the user.

    Args:
        path: The file.
        error: From reading it.
        label: What the message begins with.
    """
    message = str(error)
    if "Empty CSV file" in message or "Empty JSON file" in message:
        return DlrunError(f"{label} {path} is empty", hint="the first row names the columns")
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
    return DlrunError(f"{label} {path} can't be read: {message.splitlines()[0]}")
