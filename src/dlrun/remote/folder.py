"""One run, or a sweep without its runs, here and there: send what is new, fetch what is new."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from dlrun.remote.bucket import Bucket, Entry
from dlrun.remote.known_files import KnownFiles
from dlrun.remote.layout import (
    MANIFEST,
    RECORD,
    SWEEP_FILE,
    WRITER,
    checkpoint_of,
    order,
    scan,
    whole,
)
from dlrun.remote.places import root
from dlrun.system.files import is_file

log = logging.getLogger("dlrun")

SMALL_BYTES = 8 * 2**20  # what is read before it is sent, as it may be appended to meanwhile
THREADS = 8
LOCK = ".remote.lock"


class Folder:
    """A working copy.

    Args:
        path: Of the run or of the sweep.
        bucket: The place that it is a copy of, or one above it.
        prefix: The name of the folder there, below the bucket's URL; empty for the place itself.
    """

    def __init__(self, path: Path, bucket: Bucket, prefix: str = "") -> None:
        self.path = path
        self.bucket = bucket
        self.known = KnownFiles(path)
        self._prefix = f"{prefix}/" if prefix else ""

    def unsent(self) -> dict[str, int]:
        """The files here that are not there, and their sizes in bytes."""
        return {
            name: stat.st_size
            for name, stat in scan(self.path)
            if not self.known.is_sent(name, stat)
        }

    def send(self) -> int:
        """Send what is new, and remove there what was removed here; returns how many files.

        Raises:
            RemoteError: If the place can't be reached; what was sent is known.
        """
        with self._lock():
            return self._send()

    def _send(self) -> int:
        # Read first and sent last: the record never tells of a file that is not there yet.
        first = {n: d for n in (RECORD, SWEEP_FILE) if (d := _read(self.path / n)) is not None}
        # Listed twice: what replaces a checkpoint that is gone now is in the second list.
        before = {checkpoint_of(name) for name, _ in scan(self.path)}
        found = dict(scan(self.path))
        changed = [name for name, stat in found.items() if not self.known.is_sent(name, stat)]
        # Of what was never fetched, nothing is removed there.
        had = {checkpoint_of(name) for name in self.known.files if self.known.has(name)}
        gone = [
            name
            for name in self.known.files
            if name not in found
            and name != WRITER  # scanned by none; its process writes it, and another has fetched it
            and (
                (c not in before and (c in had or self.known.is_partial(name)))
                if (c := checkpoint_of(name))
                else self.known.has(name)
            )
        ]
        with self._frozen({c for name in changed if (c := checkpoint_of(name))}) as frozen:
            for name in sorted(changed, key=order):
                if name in (RECORD, SWEEP_FILE):
                    continue
                path = frozen.get(name) if checkpoint_of(name) else self.path / name
                if path is not None:
                    self._send_file(name, path)
        self._remove(gone)
        sent_last = [name for name in first if name in changed]
        for name in sent_last:
            self._send_data(name, *first[name])
        return len(changed) + len(gone)

    def fetch(self, entries: Mapping[str, Entry], is_wanted: Callable[[str, int], bool]) -> None:
        """Get what is new and wanted, and remove here what was removed there.

        Args:
            entries: The files there.
            is_wanted: Whether to fetch a file by its name and size; what is not fetched can be
                later, with :meth:`fetch_file`.

        What was never sent, where others have changed there, is set aside.

        Raises:
            RemoteError: If the place can't be reached.
        """
        there = whole(entries)
        with self._lock():
            changed = self._changed_names(there)
            gone = [n for n in self.known.files if n not in entries]
            held_gone = [n for n in gone if is_file(self.path / n)]
            # The lease changes with every process that writes, this machine's own too.
            others = {*changed, *held_gone} - {WRITER}
            if (unsent := self.unsent()) and others:
                self._set_aside()
                changed, gone, held_gone, unsent = self._changed_names(there), [], [], {}
            known = self.known
            self._forget(changed, gone, held_gone)
            for name in changed:
                known.note(name, there[name].token, None)
            for name in entries.keys() - there.keys():  # the next that writes removes it
                known.note(name, entries[name].token, None, partial=True)
            known.write()
            wanted = [
                name
                for name, entry in there.items()
                if is_wanted(name, entry.size)
                and not is_file(self.path / name)
                and not (unsent and known.has(name))  # removed here, and not there yet
            ]
            self._download(sorted(wanted, key=order))
            known.write()

    def _changed_names(self, there: Mapping[str, Entry]) -> set[str]:
        return {n for n, e in there.items() if self.known.is_changed_there(n, e.token)}

    def _set_aside(self) -> None:
        """Keep files that were never sent, of a run that another machine has gone on with."""
        place = root().with_name("remote-kept") / f"{self.path.name}_{time.time_ns() // 1_000_000}"
        place.mkdir(parents=True)
        for entry in self.path.iterdir():
            if entry.name not in (LOCK, ".lock"):  # whoever waits for them has them open
                shutil.move(entry, place / entry.name)
        self.known = KnownFiles(self.path)
        log.warning(
            "%s was written by another machine: what was never uploaded from here is kept in %s",
            self.url,
            place,
        )

    def _forget(self, changed: set[str], gone: list[str], held_gone: list[str]) -> None:
        """Remove here what is another there, or is there no more."""
        for name in (*changed, *gone):
            with suppress(OSError):
                (self.path / name).unlink()
            self.known.files.pop(name, None)
        for checkpoint in {c for name in held_gone if (c := checkpoint_of(name))}:
            shutil.rmtree(self.path / checkpoint, ignore_errors=True)

    def fetch_file(self, name: str) -> None:
        """Get one file that is not here.

        Raises:
            FileNotFoundError: If it is not there either.
        """
        with self._lock():
            path = self.path / name
            entry = self.bucket.download(self._prefix + name, path)
            self.known.note(name, entry.token, path.stat())
            self.known.write()

    @property
    def url(self) -> str:
        """Its place."""
        return f"{self.bucket.url}/{self._prefix}".rstrip("/")

    def _download(self, names: list[str]) -> None:
        from concurrent.futures import ThreadPoolExecutor

        def download(name: str) -> tuple[str, Entry] | None:
            path = self.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                entry = self.bucket.download(self._prefix + name, path)
            except FileNotFoundError:  # removed since it was listed
                return None
            if entry.modified is not None:
                os.utime(path, (entry.modified, entry.modified))
            return name, entry

        with ThreadPoolExecutor(THREADS) as pool:
            for done in pool.map(download, names):
                if done is not None:
                    self.known.note(done[0], done[1].token, (self.path / done[0]).stat())

    def _send_file(self, name: str, path: Path) -> None:
        """Send a file; one that is gone by now is left to the next time."""
        try:
            stat = path.stat()
            if stat.st_size <= SMALL_BYTES:
                self._send_data(name, stat, path.read_bytes())
                return
        except FileNotFoundError:
            return
        with self._sending(name):
            entry = self.bucket.upload(self._prefix + name, path)
            self.known.note(name, entry.token, stat)

    def _send_data(self, name: str, stat: os.stat_result, data: bytes) -> None:
        with self._sending(name):
            entry = self.bucket.write(self._prefix + name, data)
            self.known.note(name, entry.token, stat)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Wait for other processes that fetch or send the same folder."""
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / LOCK).open("a", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            self.known = KnownFiles(self.path)
            yield

    @contextmanager
    def _sending(self, name: str) -> Iterator[None]:
        checkpoint = checkpoint_of(name)
        manifest = f"{checkpoint}/{MANIFEST}"
        if checkpoint and name != manifest and manifest in self.known.files:
            self._remove([manifest])  # it is of the files that are replaced now
        self.known.sending = name
        self.known.write()
        yield
        self.known.sending = None
        self.known.write()

    def _remove(self, names: list[str]) -> None:
        """Remove files there, the manifest of each checkpoint first."""
        if names:
            names = sorted(names, key=lambda name: not name.endswith(f"/{MANIFEST}"))
            self.bucket.remove([self._prefix + name for name in names])
            for name in names:
                self.known.files.pop(name, None)
            self.known.write()

    @contextmanager
    def _frozen(self, checkpoints: set[str]) -> Iterator[dict[str, Path]]:
        """Hard links to the files of checkpoints, which training may remove meanwhile."""
        place = self.path / f".partial-{os.getpid()}-sent"
        for leftover in self.path.glob(".partial-*-sent"):  # of a killed process
            shutil.rmtree(leftover, ignore_errors=True)
        files: dict[str, Path] = {}
        try:
            for number, checkpoint in enumerate(sorted(checkpoints)):
                target = place / str(number)
                target.mkdir(parents=True)
                linked = {}
                try:
                    for path in (self.path / checkpoint).iterdir():
                        os.link(path, target / path.name)
                        linked[f"{checkpoint}/{path.name}"] = target / path.name
                except FileNotFoundError:
                    continue
                files |= linked
            yield files
        finally:
            shutil.rmtree(place, ignore_errors=True)


def _read(path: Path) -> tuple[os.stat_result, bytes] | None:
    try:
        return path.stat(), path.read_bytes()
    except OSError:
        return None
