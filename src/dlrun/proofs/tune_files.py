"""The files that a range test leaves: the curve as CSV, all as JSON, and a picture."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dlrun.errors import DlrunError
from dlrun.report.range_test import curve_svg
from dlrun.system.files import write_json, write_text

CSV, JSON, PICTURE = "learning_rate.csv", "learning_rate.json", "learning_rate.svg"


def write_curve(directory: Path, result: Mapping[str, Any]) -> None:
    """Write the files of a result; the directory is created.

    Raises:
        DlrunError: If they can't be written.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, list(result["curve"][0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(result["curve"])
    try:
        directory.mkdir(parents=True)
        write_text(directory / CSV, text.getvalue())
        write_text(directory / PICTURE, curve_svg(result))
        write_json(directory / JSON, dict(result))
    except OSError as error:
        raise DlrunError(
            f"can't write to {directory}: {error.strerror or error}",
            hint="choose another place with runs_dir=PATH",
            exit_code=1,
        ) from error
