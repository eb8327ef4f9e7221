"""The tables of an evaluation: the same rows on the screen, as CSV and as JSON."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlrun.system.files import whole_file


@dataclass(frozen=True)
class Table:
    """Rows with a header.

    Args:
        header: The names of the columns.
        rows: A value for each column, texts or numbers; None for no value.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[Any]]

    def write(self, path: Path) -> None:
        """Write it as CSV.

        Raises:
            OSError: If it can't be written.
        """
        with whole_file(path), path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(self.header)
            writer.writerows(self.rows)

    def records(self) -> list[dict[str, Any]]:
        """Each row as a mapping, for JSON."""
        return [dict(zip(self.header, row, strict=True)) for row in self.rows]

    def columns(self) -> dict[str, list[Any]]:
        """Each column as a list, for JSON of many rows."""
        return {name: [row[n] for row in self.rows] for n, name in enumerate(self.header)}
