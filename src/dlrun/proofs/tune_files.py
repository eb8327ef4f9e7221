"""The files that a range test leaves: the curve as CSV, all as JSON, and a picture."""

from __future__ import annotations

import csv
import errno
import io
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dlrun.errors import DlrunError
from dlrun.report.range_test import curve_svg
from dlrun.system.files import refusal_code, write_json, write_text

CSV, JSON, PICTURE = "learning_rate.csv", "learning_rate.json", "learning_rate.svg"


def prepare(directory: Path) -> None:
    """Make the folder of a directory, so that a test is not in vain.

    Raises:
        DlrunError: If nothing can be written there.
    """
    with _write_errors(directory, started=False):
        directory.parent.mkdir(parents=True, exist_ok=True)
        if not os.access(directory.parent, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def write_curve(directory: Path, result: Mapping[str, Any]) -> None:
    """Write the files of a result; the directory is created.

    Raises:
        DlrunError: If they can't be written.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, list(result["curve"][0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(result["curve"])
    with _write_errors(directory, started=True):
        directory.mkdir(parents=True)
        write_text(directory / CSV, text.getvalue())
        write_text(directory / PICTURE, curve_svg(result))
        write_json(directory / JSON, dict(result))


@contextmanager
def _write_errors(directory: Path, *, started: bool) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DlrunError(
            f"can't write to {directory}: {error.strerror or error}",
            hint="choose another place with runs_dir=PATH",
            exit_code=1 if started else refusal_code(error),
        ) from error
