"""A place that fsspec reaches, as files by name; its errors in one line."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from dlrun.errors import DlrunError, first_line
from dlrun.remote.layout import is_name
from dlrun.system.files import replacing
from dlrun.system.packages import require_package

# What a program puts there appears whole. Elsewhere a file is sent under another name, and renamed.
ATOMIC = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oci", "oss", "memory")
SECONDS = 20
RETRIES = 2
TRIES = 5  # to read a file that is replaced meanwhile, at most twice a second
PACKAGES = {"s3": "s3fs", "s3a": "s3fs"}


class RemoteError(DlrunError):
    """The place can't be reached, or refuses."""


class Entry(NamedTuple):
    """A file there.

    Args:
        size: In bytes.
        token: Another one once the file was replaced.
        modified: In seconds since 1970; None if unknown.
    """

    size: int
    token: str
    modified: float | None


class Bucket:
    """The files below a URL.

    Args:
        url: From :func:`dlrun.remote.places.url_of`.

    Raises:
        DlrunError: If the packages for its protocol are not installed.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        protocol = url.partition("://")[0]
        for package in ("fsspec", PACKAGES.get(protocol, "fsspec")):
            require_package(package, url, "remote")
        import fsspec

        options: dict[str, Any] = {"use_listings_cache": False}
        if protocol in ("file", "local"):
            options["auto_mkdir"] = True
        if protocol in PACKAGES:
            options["config_kwargs"] = {
                "connect_timeout": SECONDS,
                "read_timeout": 3 * SECONDS,
                "retries": {"max_attempts": RETRIES, "mode": "standard"},
            }
        try:
            with self._reporting():
                self._fs, self._root = fsspec.core.url_to_fs(url, **options)
        except RemoteError as error:
            raise DlrunError(
                error.message.replace(" can't be reached", ""), hint=error.hint
            ) from error
        if protocol in PACKAGES:
            self._fs.retries = RETRIES
        if (loop := getattr(self._fs, "loop", None)) is not None:
            loop.set_exception_handler(_ignore_lost_connections)
        self._root = self._root.rstrip("/")
        self._atomic = protocol in ATOMIC

    def check_writable(self) -> None:
        """Check that files can be written, with one that is removed again.

        Raises:
            RemoteError: If they can't.
        """
        name = f".dlrun-{secrets.token_hex(4)}"
        self.write(name, b"")
        self.remove([name])

    def list(self, below: str = "") -> dict[str, Entry]:
        """Every file by its name, at any depth of a folder below the URL.

        Raises:
            RemoteError: If there is no such bucket, or it can't be read.
        """
        with self._reporting():
            try:
                found = self._fs.find(self._path(below), detail=True)
            except FileNotFoundError as error:
                if "bucket" not in str(error).lower():
                    return {}
                raise self._error(error) from error
        entries = {}
        for path, info in found.items():
            name = path[len(self._root) + 1 :]
            if info.get("type") == "file" and is_name(name):
                entries[name] = _entry(info)
        return entries

    def read(self, name: str) -> bytes:
        """A small file.

        Raises:
            FileNotFoundError: If there is none.
            RemoteError: If it can't be read.
        """
        with self._reporting():
            return bytes(self._fs.cat_file(self._path(name)))

    def download(self, name: str, path: Path) -> Entry:
        """Write a file to a path of this machine, atomically.

        Raises:
            FileNotFoundError: If there is none.
            RemoteError: If it can't be read, or changes each time.
            OSError: If the path can't be written.
        """
        with replacing(path) as partial:
            for _ in range(TRIES):  # a run that is being written replaces its history meanwhile
                with self._reporting():
                    entry = _entry(self._fs.info(self._path(name)))
                    self._fs.get_file(self._path(name), str(partial))
                if (size := partial.stat().st_size) == entry.size:
                    return entry
            raise RemoteError(
                f"{self.url}/{name} has {size:,} bytes, expected {entry.size:,}", exit_code=1
            )

    def write(self, name: str, data: bytes) -> Entry:
        """Put a small file there."""
        return self._put(name, len(data), lambda path: self._fs.pipe_file(path, data))

    def upload(self, name: str, path: Path) -> Entry:
        """Put a file there, that does not change meanwhile.

        Raises:
            RemoteError: If it can't be written.
        """
        size = path.stat().st_size
        return self._put(name, size, lambda there: self._fs.put_file(str(path), there))

    def remove(self, names: Collection[str]) -> None:
        """Remove files, one after the other; those that are not there are skipped."""
        for name in names:
            with self._reporting():
                try:
                    self._fs.rm_file(self._path(name))
                except FileNotFoundError:
                    continue
        if not self._atomic:
            for folder in {name.rpartition("/")[0] for name in names} - {""}:
                with suppress(Exception):  # it is not empty, or has gone
                    self._fs.rmdir(self._path(folder))

    def _put(self, name: str, size: int, send: Callable[[str], Any]) -> Entry:
        path = self._path(name)
        try:
            with self._reporting():
                if self._atomic:
                    send(path)
                else:
                    folder, _, last = path.rpartition("/")
                    self._fs.makedirs(folder, exist_ok=True)
                    partial = f"{folder}/.{last}.partial-{secrets.token_hex(4)}"
                    send(partial)
                    self._fs.mv(partial, path)
                entry = _entry(self._fs.info(path))
                if entry.size != size:
                    raise OSError(f"{name} has {entry.size:,} bytes there, expected {size:,}")
        except FileNotFoundError as error:  # no such bucket
            raise self._error(error) from error
        return entry

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root

    def _error(self, error: BaseException) -> RemoteError:
        hint = None
        if self.url.startswith("s3"):
            hint = (
                "credentials and server are taken from the environment: AWS_ACCESS_KEY_ID,"
                " AWS_SECRET_ACCESS_KEY, AWS_PROFILE, AWS_ENDPOINT_URL"
            )
        reason = first_line(error).rstrip(".")
        return RemoteError(f"{self.url} can't be reached: {reason}", hint=hint, exit_code=1)

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        """Report what a library raises, which may be anything."""
        try:
            yield
        except (DlrunError, FileNotFoundError):
            raise
        except Exception as error:
            raise self._error(error) from error


def _ignore_lost_connections(loop: Any, context: dict[str, Any]) -> None:
    """Drop what aiohttp 3.14 prints of a lost connection for which it raises an error as well."""
    if not isinstance(context.get("exception"), OSError):
        loop.default_exception_handler(context)


def _entry(info: dict[str, Any]) -> Entry:
    modified = info.get("LastModified", info.get("mtime", info.get("created")))
    if isinstance(modified, datetime):
        modified = modified.timestamp()
    size = int(info.get("size") or 0)
    return Entry(size, str(info.get("ETag") or f"{size}-{modified}"), modified)
