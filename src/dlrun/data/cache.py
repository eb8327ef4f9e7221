"""A cache of prepared data on disk, shared by all runs of a user.

An entry is a directory that appears whole or not at all: it is written under another name, and
renamed. Who makes an entry holds a lock on it, so that two runs do not make it twice; the system
releases the lock if the process dies.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from dlrun.errors import DlrunError
from dlrun.system.files import FULL, exists, is_file
from dlrun.system.user_cache import user_cache

VERSION = 9  # of what is cached; entries of other versions are not found, and are removed in time
MANIFEST = "manifest.json"
LEFT_SECONDS = 7 * 86_400
LARGE = 64 * 2**20  # bytes, which take 0.07 s to read


def cache_dir() -> Path:
    """``DLRUN_CACHE``, or ``dlrun/data`` in the user's cache directory."""
    if path := os.environ.get("DLRUN_CACHE"):
        return Path(path)
    return user_cache() / "data"


def limit_of(cache_gb: float) -> float:
    """The bytes that the cache may hold.

    Raises:
        DlrunError: If ``data.cache_gb`` is not a number.
    """
    if not isinstance(cache_gb, int | float):
        typed = "null" if cache_gb is None else cache_gb
        raise DlrunError(f"data.cache_gb={typed}: expected a number of GB", hint="data.cache_gb=10")
    return cache_gb * 1e9


def key_of(*parts: Any) -> str:
    """A key from everything that an entry depends on, as JSON holds it."""
    text = json.dumps([VERSION, *parts], sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def content_key(paths: list[Path], meanwhile: Callable[[], None] | None = None) -> str:
    """A key of the content of files, by name and in order.

    A file is read again only if its size or its time has changed.

    Args:
        paths: The files.
        meanwhile: Called while large files are read, as they are probably new: what will be needed.

    Raises:
        OSError: If one can't be read.
    """
    stats = [path.stat() for path in paths]
    places = [os.path.split(path) for path in paths]
    # Of a folder of many files, only the folder is resolved: it takes longer than to stat a file.
    folders = {folder: str(Path(folder).resolve()) for folder in {folder for folder, _ in places}}
    stamps = [
        [folders[folder], name, stat.st_size, stat.st_mtime_ns, stat.st_ino]
        for (folder, name), stat in zip(places, stats, strict=True)
    ]
    note = cache_dir() / "stamps" / key_of(stamps)
    with suppress(OSError, UnicodeDecodeError):
        if len(known := note.read_text(encoding="ascii")) == 32:
            return known
    sizes = [stat.st_size for stat in stats]
    with ThreadPoolExecutor(max_workers=1) as pool:
        digest = pool.submit(_digest, paths, sizes)
        if meanwhile is not None and sum(sizes) >= LARGE:
            meanwhile()
        key = digest.result()[:32]
    # A file that changes now may get the same time again.
    newest = max((stat.st_mtime_ns for stat in stats), default=0)
    if time.time_ns() - newest > 2e9:
        with suppress(OSError):
            note.parent.mkdir(parents=True, exist_ok=True)
            partial = note.with_name(f".{note.name}-{os.getpid()}")
            partial.write_text(key, encoding="ascii")
            partial.replace(note)
    return key


def _digest(paths: list[Path], sizes: list[int]) -> str:
    digest = hashlib.sha256()  # of the hashes, the one that processors have instructions for
    for path, size in zip(paths, sizes, strict=True):
        digest.update(f"{path.name}\0{size}\0".encode())
        with path.open("rb", buffering=0) as file:
            while block := file.read(2**20):
                digest.update(block)
    return digest.hexdigest()


def cache_entry(key: str, make: Callable[[Path], None], *, limit_bytes: float) -> Path:
    """The directory of an entry, made if it is not there or is damaged.

    Args:
        key: From :func:`key_of`.
        make: Writes the entry's files into a directory.
        limit_bytes: Afterwards, the entries that were not used for longest are removed until the
            others fit. An array that is open stays readable.

    Raises:
        DlrunError: If the entry can't be written, as on a full disk; nothing of it is left.
    """
    root, entry = cache_dir(), cache_dir() / key
    try:
        root.mkdir(parents=True, exist_ok=True)
        if _is_whole(entry):
            _mark_used(entry)
            return entry
        with _lock(root / f"{key}.lock"):
            if not _is_whole(entry):  # another run may have made it meanwhile
                _make(root, entry, make)
        _mark_used(entry)
        _remove_old(root, entry, limit_bytes)
    except OSError as error:
        raise cache_error(error) from error
    return entry


def cache_error(error: OSError) -> DlrunError:
    """The error for what can't be written to the cache."""
    return DlrunError(
        f"the data cache {cache_dir()} can't be written: {error.strerror or error}",
        hint="free some space, or name another place: DLRUN_CACHE=DIRECTORY"
        if error.errno in FULL
        else "name another place: DLRUN_CACHE=DIRECTORY",
        exit_code=1,
    )


def _make(root: Path, entry: Path, make: Callable[[Path], None]) -> None:
    for left in root.glob(f".{entry.name}-*"):  # of a process that died; the lock is free
        shutil.rmtree(left, ignore_errors=True)
    partial = root / f".{entry.name}-{os.getpid()}"
    partial.mkdir()
    try:
        make(partial)
        written = {path.name: _stamp(path) for path in partial.iterdir()}
        (partial / MANIFEST).write_text(json.dumps(written), encoding="utf-8")
        if exists(entry):  # damaged
            shutil.rmtree(entry)
        partial.rename(entry)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _is_whole(entry: Path) -> bool:
    """Whether every file has the size and the time that it was written with.

    Its content is not read: a sum of 10 GB would take longer than the first epoch.
    """
    try:
        written = json.loads((entry / MANIFEST).read_text(encoding="utf-8"))
        return all(_stamp(entry / name) == stamp for name, stamp in written.items())
    except (OSError, ValueError, AttributeError, TypeError):
        return False


def _stamp(path: Path) -> list[int]:
    """The size of a file in bytes, and when it was written, in nanoseconds."""
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns]


def _mark_used(entry: Path) -> None:
    with suppress(OSError):
        os.utime(entry)


def _remove_old(root: Path, keep: Path, limit: float) -> None:
    entries = []
    for entry in root.iterdir():
        with suppress(OSError):  # another run may rename or remove it meanwhile
            if entry.name.startswith("."):
                if time.time() - entry.stat().st_mtime > LEFT_SECONDS:
                    shutil.rmtree(entry, ignore_errors=True)  # of a process that died
            elif is_file(entry / MANIFEST):
                size = sum(p.stat().st_size for p in entry.iterdir())
                entries.append((entry.stat().st_mtime, entry, size))
    total = sum(size for _, _, size in entries)
    for _, entry, size in sorted(entries):
        if total <= limit:
            return
        if entry != keep:
            # Renamed first, so that no run finds half of it.
            gone = root / f".{entry.name}-removed-{os.getpid()}"
            with suppress(OSError):
                entry.rename(gone)
                shutil.rmtree(gone, ignore_errors=True)
                total -= size


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
