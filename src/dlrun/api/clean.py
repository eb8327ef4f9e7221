"""``dlrun clean``: what may go of runs and caches. Nothing is removed unless asked for."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlrun.backends import names
from dlrun.checkpoints.store import (
    checkpoint_path,
    list_positions,
    read_best_epoch,
    remove_checkpoint,
)
from dlrun.data.cache import MANIFEST, cache_dir
from dlrun.errors import DlrunError
from dlrun.remote.places import refuse_remote
from dlrun.runs import records
from dlrun.runs.annotations import read_annotations
from dlrun.runs.directory import RECORD, lock
from dlrun.runs.launches import iter_launches, why_ended
from dlrun.runs.locate import iter_runs
from dlrun.runs.status import current_status, is_locked, start_time
from dlrun.system.files import exists, is_dir, is_file, read_json
from dlrun.system.user_cache import user_cache
from dlrun.training import speeds

KINDS = ("checkpoints", "failed", "launches", "caches")
IN_USE_SECONDS = 3600.0  # what was used since may still be opened
DAY = 86_400.0
KEY = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class _Item:
    """What may go.

    Args:
        kind: One of :data:`KINDS`.
        path: A directory or a file.
        why: Why it may go.
        run: The run or launch that it belongs to, which must not be written meanwhile; None for a
            cache.
    """

    kind: str
    path: Path
    why: str
    run: Path | None = None


def clean(
    runs_dir: Path = Path("runs"),
    *,
    kinds: tuple[str, ...] = KINDS,
    older_than_days: float = 0.0,
    delete: bool = False,
) -> dict[str, Any]:
    """Find, and with ``delete`` remove, what no run needs any more.

    Of a run that is being written nothing goes. Every run keeps its best and its newest checkpoint,
    and one that can be resumed its last two. A failed run with a tag or a note stays.

    Args:
        runs_dir: A folder that holds runs at any depth.
        kinds: Some of :data:`KINDS`.
        older_than_days: Of runs that were started later, and of launches and entries of caches that
            were used later, nothing goes.
        delete: Whether to remove what was found.

    Returns:
        ``runs_dir``, ``deleted``, ``bytes`` of all, and ``items`` with ``kind``, ``path``,
        ``bytes`` and ``why``.

    Raises:
        DlrunError: If the folder can't be read.
    """
    refuse_remote(runs_dir, "'dlrun clean'")
    before = time.time() - older_than_days * DAY
    found: list[_Item] = []
    missing = not exists(runs_dir) and runs_dir == Path("runs")
    for run in [] if missing else sorted(iter_runs(runs_dir)):
        found += _of_run(run, kinds, before)
    unused = min(before, time.time() - IN_USE_SECONDS)
    if "launches" in kinds:
        found += _of_launches(runs_dir, unused)
    if "caches" in kinds:
        found += _of_caches(unused)
    items = []
    for item in found:
        size = _bytes(item.path)
        if delete and not _remove(item):
            continue
        entry = {"kind": item.kind, "path": str(item.path), "bytes": size, "why": item.why}
        items.append(entry)
    return {
        "runs_dir": str(runs_dir),
        "deleted": delete,
        "bytes": sum(item["bytes"] for item in items),
        "items": items,
    }


def _of_run(run: Path, kinds: tuple[str, ...], before: float) -> Iterator[_Item]:
    try:
        record = read_json(run / RECORD)
    except (OSError, ValueError):
        return
    # A sweep that goes on may still start its runs again.
    busy = any(is_locked(place) is not False for place in (run, run.parent))
    if not isinstance(record, dict) or busy or start_time(record) > before:
        return
    status = {**record, **current_status(run, record)}.get("status")
    notes = read_annotations(run)
    if status == "failed" and "failed" in kinds and not notes["tags"] and not notes["note"]:
        yield _Item("failed", run, f"failed: {record.get('error')}", run)
        return
    if "checkpoints" in kinds:
        yield from _checkpoints(run, record, resumable=status != "completed")


def _checkpoints(run: Path, record: dict[str, Any], *, resumable: bool) -> Iterator[_Item]:
    directory = run / "checkpoints"
    if directory.is_symlink() or not is_dir(directory):
        return
    positions = list_positions(directory)
    kept = set(positions[-2:] if resumable else positions[-1:])
    try:
        best = {read_best_epoch(directory), record.get("best_epoch")}
    except DlrunError:
        return  # unknown, so all are kept
    for at in positions:
        path = checkpoint_path(directory, at)
        is_best = not at.steps and at.epochs in best
        if at not in kept and not is_best and not path.is_symlink():
            yield _Item("checkpoints", path, "neither the best nor the newest", run)
    for left in (*directory.glob(".*.partial-*"), *directory.glob(".removed-*")):
        yield _Item("checkpoints", left, "left by a process that was killed", run)


def _of_launches(runs_dir: Path, before: float) -> Iterator[_Item]:
    for folder in sorted(iter_launches(runs_dir)):
        if (why := why_ended(folder)) and _last_used(folder) < before:
            yield _Item("launches", folder, why, folder)


def _of_caches(before: float) -> Iterator[_Item]:
    root = cache_dir()
    for entry in sorted(root.iterdir()) if is_dir(root) else ():
        if KEY.fullmatch(entry.name) and is_file(entry / MANIFEST) and _last_used(entry) < before:
            yield _Item("caches", entry, "prepared data, made again when needed")
    made_again = dict.fromkeys(names(), "compiled functions, made again when needed")
    made_again[speeds.FOLDER] = "what dlrun bench has measured"
    made_again[records.FOLDER] = "records of runs, read again when needed"
    # Beside them are working copies of remote runs, which may hold what no bucket has.
    for name, why in made_again.items():
        folder = user_cache() / name
        if is_dir(folder) and _last_used(folder) < before:
            yield _Item("caches", folder, why)


def _last_used(path: Path) -> float:
    """When a folder or a file in it was last written, in seconds since 1970."""
    times = [path.lstat().st_mtime]
    for inner in path.rglob("*"):
        with suppress(OSError):
            times.append(inner.lstat().st_mtime)
    return max(times)


def _bytes(path: Path) -> int:
    total = 0
    for file in [path] if is_file(path) else path.rglob("*"):
        with suppress(OSError):
            if not file.is_symlink() and is_file(file):
                total += file.stat().st_size
    return total


def _remove(item: _Item) -> bool:
    """Remove it, unless a process has begun to write to its run; whether it is gone."""
    try:
        if item.run is None:
            _discard(item.path)
        else:
            with lock(item.run):
                remove: Callable[[Path], None] = (
                    remove_checkpoint if item.path.name.startswith("epoch-") else _discard
                )
                remove(item.path)
    except (DlrunError, OSError):
        return False
    return not exists(item.path)


def _discard(path: Path) -> None:
    """Remove a folder; renamed first, so that nobody finds half of it."""
    if path.is_symlink():
        return
    gone = path.with_name(f".{path.name}-removed")
    path.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)
