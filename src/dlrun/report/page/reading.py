"""Read the files of a run that may come from anyone: whatever is not as expected is absent."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dlrun.runs import query
from dlrun.system.files import is_file, read_json

MAX_CSV_BYTES = 32 * 2**20
MAX_ROWS = 200_000
Rows = list[dict[str, str]]


def read_table(path: Path) -> tuple[list[str], list[list[str]]]:
    """The header and the rows of a CSV file; none if there is no such file."""
    try:
        # A link could lead to a file outside the run.
        if not is_file(path) or path.is_symlink() or path.stat().st_size > MAX_CSV_BYTES:
            return [], []
        reader = csv.reader(io.StringIO(path.read_text(encoding="utf-8"), newline=""))
        head, rows = next(reader, []), [row for row in reader if row]
    except (OSError, ValueError, csv.Error):
        return [], []
    return head, rows[:MAX_ROWS]


def read_rows(path: Path) -> Rows:
    """The rows of a CSV file by the names of its header; none if there is no such file."""
    head, rows = read_table(path)
    return [dict(zip(head, row, strict=False)) for row in rows]


def read_mapping(path: Path) -> dict[str, Any]:
    """A JSON file's mapping; empty where it holds none."""
    try:
        value = read_json(path) if is_file(path) and not path.is_symlink() else None
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def at(mapping: Any, *keys: str) -> Any:
    """A value inside mappings; None where there is none."""
    for key in keys:
        mapping = mapping.get(key) if isinstance(mapping, Mapping) else None
    return mapping


def mapping_at(mapping: Any, *keys: str) -> Mapping[str, Any]:
    """A mapping inside mappings; empty where there is none."""
    value = at(mapping, *keys)
    return value if isinstance(value, Mapping) else {}


def list_at(mapping: Any, *keys: str) -> Sequence[Any]:
    """A list inside mappings; empty where there is none."""
    value = at(mapping, *keys)
    return value if isinstance(value, list | tuple) else []


def number_at(mapping: Any, *keys: str) -> float | None:
    """A finite number inside mappings; None where there is none."""
    return finite(at(mapping, *keys))


def text_at(mapping: Any, *keys: str) -> str:
    """A value inside mappings as text; empty where there is none."""
    value = at(mapping, *keys)
    return "" if value is None else query.text(value)


def finite(value: Any) -> float | None:
    """A value as a finite number; None where it is none."""
    number = query.number(value)
    return number if number is not None and math.isfinite(number) else None
