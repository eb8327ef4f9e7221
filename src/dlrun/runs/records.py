"""The records of many runs, kept from one listing to the next.

Opening and parsing thousands of ``run.json`` takes most of the time of a listing, and few of them
have changed since the last one. What was read is kept in the user's cache directory, one file for
each folder, with the time, size and inode of each ``run.json``.
"""

from __future__ import annotations

import hashlib
import json
import marshal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

from dlrun.runs.directory import RECORD
from dlrun.runs.locate import scan_runs
from dlrun.runs.status import too_deep
from dlrun.system.files import MAX_BYTES, replacing
from dlrun.system.user_cache import user_cache

FOLDER = "listings"
SEVERAL = 100  # changed records: fewer are parsed in less time than it takes to keep them
# A file may change again without another time: so long after a change, it is read each time.
SETTLED_NANOSECONDS = 2_000_000_000

# Of marshal, which another Python or version may not read.
_HEAD = f"1 {sys.version}\n".encode()
_Record: TypeAlias = dict[str, Any]
_Kept: TypeAlias = dict[str, tuple[tuple[int, int, int], _Record | None]]


def read_records(folder: Path) -> Iterator[tuple[str, _Record | None]]:
    """Yield each run in a folder, at any depth, with the content of its ``run.json``.

    Args:
        folder: It need not be trusted; what was read is kept by its name.

    Yields:
        A run's directory, and a mapping of its own whose values must not be changed; None if it is
        no record.

    Raises:
        DlrunError: If the folder can't be read.
    """
    path = _kept_path(folder)
    kept = _load(path)
    known: _Kept = {}
    changed, now = 0, time.time_ns()
    equal: dict[bytes, Any] = {}
    for name, status in scan_runs(folder, known=kept):
        stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
        entry = kept.get(name)
        if entry is None or entry[0] != stamp:
            entry = stamp, _read(name, status.st_size, equal)
            changed += 1
        if now - status.st_mtime_ns > SETTLED_NANOSECONDS:
            known[name] = entry
        record = entry[1]
        yield name, None if record is None else record.copy()
    if changed >= SEVERAL or (len(kept) - len(known)) >= SEVERAL:
        _save(path, known)


def _read(run: str, size: int, equal: dict[bytes, Any]) -> _Record | None:
    """A record, in which what equals a part of an earlier one is that part."""
    if size > MAX_BYTES:
        return None
    try:
        # Half the time of a Path, and again of a buffered text.
        with open(f"{run}/{RECORD}", "rb", buffering=0) as file:  # noqa: PTH123
            record = json.loads(file.read())
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or not isinstance(record.get("status"), str):
        return None
    if too_deep(record):
        return None
    config = record.get("config")
    for mapping in (record, config) if isinstance(config, dict) else (record,):
        for key, value in mapping.items():
            if isinstance(value, dict | list) and value is not config:
                mapping[key] = equal.setdefault(marshal.dumps(value, 2), value)
    return record


def _kept_path(folder: Path) -> Path:
    # The names of the runs begin with the folder as it was typed.
    name = hashlib.blake2b(f"{folder.absolute()}\0{folder}".encode(), digest_size=16).hexdigest()
    return user_cache() / FOLDER / name


def _load(path: Path) -> _Kept:
    try:
        content = path.read_bytes()
    except OSError:
        return {}
    head, rest = len(_HEAD), memoryview(content)
    if content[:head] != _HEAD or hashlib.sha256(rest[head + 32 :]).digest() != rest[head:][:32]:
        return {}
    kept: _Kept = marshal.loads(rest[head + 32 :])
    return kept


def _save(path: Path, kept: _Kept) -> None:
    with suppress(OSError):  # listed all the same
        content = marshal.dumps(kept)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as partial:
            partial.write_bytes(_HEAD + hashlib.sha256(content).digest() + content)
