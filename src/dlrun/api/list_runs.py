"""``dlrun runs``: the runs in a folder, from what their ``run.json`` tells."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlrun.runs import query
from dlrun.runs.directory import RECORD
from dlrun.runs.locate import iter_runs
from dlrun.runs.names import short_names
from dlrun.runs.status import current_status, start_time, too_deep
from dlrun.system.files import read_json

log = logging.getLogger("dlrun")


def list_runs(
    folder: Path,
    *,
    where: Sequence[str] = (),
    sort: str = "started",
    reverse: bool = False,
    limit: int | None = None,
) -> dict[str, Any]:
    """Find the runs in a folder, at any depth.

    Args:
        folder: A folder of runs, of anybody's.
        where: Conditions that all must hold, as ``val_accuracy>0.97``.
        sort: The key to sort by; equals come newest first.
        reverse: The other way around.
        limit: How many to return at the most.

    Returns:
        How many there are, and the records of those asked for. A record has besides what its
        ``run.json`` holds ``run``, the shortest name that tells it from the others.

    Raises:
        DlrunError: If the folder can't be read, or no run has a key that was asked for.
    """
    conditions = [query.parse(one) for one in where]
    # There are no runs yet where one is trained for the first time.
    missing = not folder.exists() and folder == Path("runs")
    paths = [] if missing else list(iter_runs(folder))
    read = [(path, record) for path in paths if (record := _record(path)) is not None]
    if len(read) < len(paths):
        log.warning("left out: %d with a run.json that tells of no run", len(paths) - len(read))
    names = short_names([path for path, _ in read], parts=2)
    found = [
        {"run": name} | record | {"run": name, "run_dir": str(path)}
        for name, (path, record) in zip(names, read, strict=True)
    ]
    found.sort(key=lambda record: (start_time(record), record["run_dir"]), reverse=True)
    chosen = query.select(found, conditions)
    if sort != "started":
        chosen = query.sort_by(chosen, sort, reverse=reverse)
    elif reverse:
        chosen.reverse()
    return {"runs_dir": str(folder), "found": len(found), "runs": chosen[:limit]}


def _record(path: Path) -> dict[str, Any] | None:
    """What a run tells of itself, and what has become of it; None if it is no run."""
    try:
        record = read_json(path / RECORD)
    except (OSError, ValueError):
        return None
    if not isinstance(record, dict) or not isinstance(record.get("status"), str):
        return None
    return None if too_deep(record) else record | current_status(path, record)
