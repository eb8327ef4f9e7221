"""``dlrun push``: send what runs' working copies have and their bucket has not."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from dlrun.errors import DlrunError
from dlrun.remote import mirror
from dlrun.remote.layout import RECORD, SWEEP_FILE
from dlrun.remote.places import url_for, url_of, working_path
from dlrun.runs.directory import lock
from dlrun.system.files import is_file

log = logging.getLogger("dlrun")


def push(place: str) -> dict[str, Any]:
    """Send runs that could not be sent as they were trained; nothing is fetched.

    Args:
        place: The URL of a run or a sweep, or of a folder of them.

    Returns:
        ``runs_dir``, and ``runs``, each with its ``run_dir`` and the number of ``files`` sent.

    Raises:
        DlrunError: If there is no working copy, it is being written, or the bucket can't be
            reached.
    """
    url = url_of(place) or url_for(Path(place).absolute())
    if url is None:
        raise DlrunError(
            f"{place} is on this machine: expected the URL of a bucket",
            hint="dlrun push s3://BUCKET/runs/mnist_mlp/RUN",
        )
    folder = working_path(url)
    runs = [folder] if _is_copy(folder) else _copies(folder)
    if not runs:
        raise DlrunError(f"this machine has no working copy of {url}", hint=f"dlrun runs {url}")
    sent = []
    for run in runs:
        with lock(run):
            files = mirror.push(run)
        sent.append({"run_dir": url_for(run), "files": files})
    return {"runs_dir": url, "runs": sent}


def _is_copy(path: Path) -> bool:
    return is_file(path / RECORD) or is_file(path / SWEEP_FILE)


def _copies(folder: Path) -> list[Path]:
    """The runs and the sweeps below a folder, without the runs of these sweeps."""
    sweeps = sorted(path.parent for path in folder.rglob(SWEEP_FILE))
    runs = sorted(path.parent for path in folder.rglob(RECORD))
    return [*(run for run in runs if run.parent not in sweeps), *sweeps]
