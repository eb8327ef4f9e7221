"""What the files of a run are to a bucket: which come first, and which belong together.

The names are those of :mod:`dlrun.runs.directory` and :mod:`dlrun.checkpoints.store`, which are
above this room.
"""

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from dlrun.system.files import is_file

RECORD, SWEEP_FILE, CONFIG = "run.json", "sweep.json", "config.yaml"
ARRAYS, MANIFEST, HISTORY = "arrays.npz", "manifest.json", "history.jsonl"
WRITER = ".writer.json"  # who writes there, see dlrun.remote.lease
# What a listing reads. The config's time tells which of two runs of one second is the newest.
LISTED = (RECORD, SWEEP_FILE, CONFIG, "metrics.csv", "notes.json", WRITER)
# Larger files than this are results to look at, or weights: neither is fetched unasked.
MOST_BYTES = 32 * 2**20

_CHECKPOINT = re.compile(r"(checkpoints/epoch-\d{4,}(?:-step-\d{6,})?)/([^/]+)")
T = TypeVar("T")


def checkpoint_of(name: str) -> str | None:
    """The checkpoint that a file belongs to, as ``checkpoints/epoch-0003``."""
    match = _CHECKPOINT.fullmatch(name)
    return match[1] if match else None


def order(name: str) -> tuple[int, str, int]:
    """The key that sorts files as they are sent.

    A checkpoint follows the history that it names, and its manifest is its last file: without one,
    there is no checkpoint. The record follows all that it tells of.
    """
    if name in (RECORD, SWEEP_FILE):
        return 3, name, 0
    if (checkpoint := checkpoint_of(name)) is not None:
        return 2, checkpoint, int(name.endswith(f"/{MANIFEST}"))
    return int(name.endswith(f"/{HISTORY}")), name, 0


def is_fetched(name: str, size: int) -> bool:
    """Whether opening a run fetches a file. Arrays are fetched once a checkpoint is read."""
    return size <= MOST_BYTES and not (checkpoint_of(name) and name.endswith(f"/{ARRAYS}"))


def whole(entries: Mapping[str, T]) -> dict[str, T]:
    """The files without those of checkpoints that have no manifest: they are not all there."""
    complete = {checkpoint_of(name) for name in entries if name.endswith(f"/{MANIFEST}")}
    return {n: e for n, e in entries.items() if (c := checkpoint_of(n)) is None or c in complete}


def folders(names: Iterable[str]) -> list[str]:
    """The folders of runs and sweeps among files: ``""`` is the place itself. Runs come first."""
    found: dict[str, list[str]] = {RECORD: [], SWEEP_FILE: []}
    for name in names:
        folder, _, last = f"/{name}".rpartition("/")
        if last in found:
            found[last].append(folder.removeprefix("/"))
    runs: dict[str, None] = {}
    for folder in sorted(found[RECORD], key=len):
        if runs.keys().isdisjoint(parents(folder)):
            runs[folder] = None
    sweeps = [f for f in found[SWEEP_FILE] if runs.keys().isdisjoint([f, *parents(f)])]
    return [*runs, *sweeps]


def parents(name: str) -> Iterator[str]:
    """The folders that a file or a folder is in, the deepest first; the last one is ``""``."""
    while name:
        name = name.rpartition("/")[0]
        yield name


def unrecorded_files(names: Collection[str]) -> set[str]:
    """The files of a sweep's runs that have no record yet: a kill may have left them so."""
    begun = {name.rpartition("/")[0] for name in names if name.endswith(f"/{CONFIG}")}
    runs = {
        run
        for run in begun
        if f"{run}/{RECORD}" not in names
        if f"{run.rpartition('/')[0]}/{SWEEP_FILE}".lstrip("/") in names
    }
    return {name for name in names if not runs.isdisjoint(parents(name))}


def is_name(name: str) -> bool:
    """Whether a name from a bucket may become a file below a folder."""
    return name.isprintable() and not {"", ".", ".."} & set(name.split("/")) and "\\" not in name


def scan(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield each regular file of a run or a sweep with its name; runs of a sweep are not entered.

    Names with a dot are those of dlrun alone: locks, and files that are being written.
    """
    pending, is_run = [""], is_file(folder / RECORD)
    while pending:
        current = pending.pop()
        try:
            with os.scandir(folder / current) as found:
                entries = list(found)
        except OSError:  # a checkpoint that was removed meanwhile
            continue
        # A run's config is written before its record.
        if current and not is_run and {RECORD, CONFIG} & {entry.name for entry in entries}:
            continue
        for entry in entries:
            if entry.name.startswith("."):
                continue
            name = f"{current}/{entry.name}" if current else entry.name
            if entry.is_dir(follow_symlinks=False):
                pending.append(name)
            elif entry.is_file(follow_symlinks=False):
                try:
                    yield name, entry.stat()
                except OSError:
                    continue
