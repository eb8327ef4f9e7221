"""``dlrun runs``: the runs in a folder, read from their ``run.json``."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlrun.errors import DlrunError
from dlrun.remote.fetch import fetch_listing
from dlrun.remote.places import shown_path, url_of
from dlrun.runs import query
from dlrun.runs.annotations import read_annotations
from dlrun.runs.history import NOT_METRICS, read_history
from dlrun.runs.names import short_names
from dlrun.runs.records import read_records
from dlrun.runs.status import current_status, is_locked, start_time
from dlrun.system.files import exists

log = logging.getLogger("dlrun")


def list_runs(
    folder: Path,
    *,
    where: Sequence[str] = (),
    sort: str = "started",
    reverse: bool = False,
    limit: int | None = None,
    live: bool = False,
) -> dict[str, Any]:
    """Find the runs in a folder, at any depth.

    Args:
        folder: A folder of runs; it need not be trusted.
        where: Conditions that must all hold, as ``val_accuracy>0.97``.
        sort: The key to sort by; ties are sorted newest first.
        reverse: Reverse the order.
        limit: Return at most this many.
        live: Give a run that has not ended the metrics of its last epoch.

    Returns:
        The number of runs, and the records of the selected ones. A record has the content of
        ``run.json``, ``tags`` and ``note`` if it has any, and ``run``, the shortest name that is
        unique in the folder.

    Raises:
        DlrunError: If the folder can't be read, or no run has a key of ``where`` or ``sort``.
    """
    conditions = [query.parse(condition) for condition in where]
    here = fetch_listing(folder, is_locked)
    # Before the first run is trained, the folder does not exist.
    missing = not exists(here) and (folder == Path("runs") or here != folder)
    found = [] if missing else [(Path(run), record) for run, record in read_records(here)]
    read = [(path, _now(path, record, live)) for path, record in found if record is not None]
    if skipped := len(found) - len(read):
        log.warning("left out: %d with a run.json that is not the record of a run", skipped)
    names = short_names([path for path, _ in read], parts=2)
    records = [
        {"run": name} | record | {"run": name, "run_dir": shown_path(path)}
        for name, (path, record) in zip(names, read, strict=True)
    ]
    records.sort(key=lambda record: (start_time(record), record["run_dir"]), reverse=True)
    chosen = query.select(records, conditions)
    if not chosen and not live:
        for near in query.similar(records, conditions):
            log.warning("did you mean --where %s?", near)
    if sort != "started":
        chosen = query.sort_by(chosen, sort, reverse=reverse)
    elif reverse:
        chosen.reverse()
    return {
        "runs_dir": url_of(folder) or str(folder),
        "found": len(records),
        "runs": chosen[:limit],
    }


def _now(path: Path, record: dict[str, Any], live: bool) -> dict[str, Any]:
    """A run's record with its current status, its tags and its note."""
    record |= current_status(path, record)
    record |= {name: value for name, value in read_annotations(path).items() if value}
    if live and "test" not in record:
        record |= _last_epoch(path)
    return record


def _last_epoch(path: Path) -> dict[str, dict[str, float]]:
    """The metrics of the last epoch, by split."""
    try:
        rows = read_history(path)
    except DlrunError:
        return {}
    split: dict[str, dict[str, float]] = {"train": {}, "validation": {}}
    for name, value in (rows[-1] if rows else {}).items():
        if name not in NOT_METRICS:
            of = "validation" if name.startswith("val_") else "train"
            split[of][name.removeprefix("val_")] = value
    return split
