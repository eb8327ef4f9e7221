"""The logged values of a run's epochs, from its ``metrics.csv``."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dlrun.errors import DlrunError
from dlrun.runs import query
from dlrun.runs.directory import METRICS
from dlrun.system.files import MAX_BYTES, is_file

# The columns of metrics.csv that are not logged values; those of an older run lack some.
PLACES = ("epoch", "step", "samples", "seconds")
NOT_METRICS = (*PLACES, "learning_rate")


def along(rows: Sequence[Mapping[str, Any]], by: str) -> list[float | None]:
    """Where each row of a ``metrics.csv`` lies.

    Args:
        rows: Of the file, in order; texts or numbers.
        by: One of :data:`PLACES`; ``seconds`` are those of all rows until then.

    Returns:
        A number for each row; None where the file does not tell, as those of an older run.
    """
    places: list[float | None] = []
    total = 0.0
    for row in rows:
        try:
            value = float(row[by])
        except (KeyError, TypeError, ValueError):
            value = math.nan
        total += value
        place = round(total, 3) if by == "seconds" else value
        places.append(place if math.isfinite(place) else None)
    return places


def read_rows(run: Path) -> list[dict[str, str]]:
    """The rows of a run's ``metrics.csv``, as they are written; none if it has no such file.

    Args:
        run: The run's directory, which may be copied from an untrusted source.

    Raises:
        DlrunError: If the file can't be read.
    """
    path = run / METRICS
    # A link could lead to a file outside the run.
    if not is_file(path) or path.is_symlink():
        return []
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"it has more than {MAX_BYTES:,} bytes")
        text = path.read_text(encoding="utf-8")
        # A row is appended while the file is read, or was as the machine died.
        return list(csv.DictReader(io.StringIO(text[: text.rfind("\n") + 1])))
    except (OSError, ValueError, csv.Error) as error:
        raise DlrunError(f"{path} can't be read: {error}") from error


def read_history(run: Path) -> list[dict[str, Any]]:
    """A row for each epoch, with ``epoch`` and each logged value; empty before the first one.

    Args:
        run: As for :func:`read_rows`.

    Raises:
        DlrunError: If the file can't be read, or a value is not a number.
    """
    rows = read_rows(run)
    try:
        return [{name: _number(name, value) for name, value in row.items()} for row in rows]
    except (ValueError, TypeError) as error:
        raise DlrunError(f"{run / METRICS} can't be read: {error}") from error


def read_curves(run: Path, by: str = "epoch") -> dict[str, list[tuple[float, float]]]:
    """The finite values of each column, as points; what is damaged is left out.

    Args:
        run: As for :func:`read_rows`.
        by: Where the points lie, as for :func:`along`.
    """
    try:
        rows = read_rows(run)
    except DlrunError:
        return {}
    curves: dict[str, list[tuple[float, float]]] = {}
    for row, place in zip(rows, along(rows, by), strict=True):
        for name, value in row.items():
            point = query.number(value)
            if place is not None and point is not None and math.isfinite(point):
                curves.setdefault(name, []).append((place, point))
    return curves


def _number(name: str, value: str) -> float:
    """The value as a number; NaN where none was logged."""
    number = float(value) if value else math.nan
    whole = name in ("epoch", "step", "samples") and number.is_integer()
    return int(number) if whole else number
