"""Fetch what is needed of runs in a bucket into their working copies."""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from dlrun.errors import DlrunError
from dlrun.remote.bucket import Bucket, Entry, RemoteError
from dlrun.remote.folder import Folder
from dlrun.remote.known_files import FILE
from dlrun.remote.layout import (
    LISTED,
    RECORD,
    SWEEP_FILE,
    folders,
    is_fetched,
    parents,
    unrecorded_files,
)
from dlrun.remote.lease import refuse_other_writer
from dlrun.remote.places import root, url_for, url_of, working_path
from dlrun.system.files import is_dir, is_file

log = logging.getLogger("dlrun")

IsBusy = Callable[[Path], bool | None]


def fetch_listing(folder: Path, is_busy: IsBusy) -> Path:
    """Fetch the records of all runs in a remote folder; a folder of this machine is left as it is.

    Args:
        folder: As typed.
        is_busy: Whether a process of this machine writes to a working copy, which is then newer.

    Returns:
        The folder that has the records.

    Raises:
        DlrunError: If the bucket can't be reached.
    """
    if (url := url_of(folder)) is None:
        return folder
    _fetch(url, is_busy, lambda name, _: name.rpartition("/")[2] in LISTED)
    return working_path(url)


def fetch_run(run: str, is_busy: IsBusy) -> Path:
    """Fetch a run, or a sweep with its runs, but for the arrays of its checkpoints.

    Args:
        run: Its URL.
        is_busy: As for :func:`fetch_listing`.

    Returns:
        Its working copy.

    Raises:
        DlrunError: If there is none, or the bucket can't be reached.
    """
    url = url_of(run)
    assert url is not None, "a URL"
    path = working_path(url)
    if is_busy(path) or is_busy(path.parent):
        return path
    _fetch(url, is_busy, is_fetched)
    if not any(is_file(path / name) for name in (RECORD, SWEEP_FILE)):
        raise DlrunError(
            f"no run at {url}", hint=f"dlrun runs {url.rpartition('/')[0]} lists the runs there"
        )
    return path


def fetch_file(path: Path) -> None:
    """Fetch a file of a working copy that is not here, such as the arrays of a checkpoint.

    Raises:
        DlrunError: If the bucket can't be reached; not if there is no such file.
    """
    if is_file(path) or (folder := _folder_of(path)) is None:
        return
    name = path.relative_to(folder).as_posix()
    url = url_for(folder)
    assert url is not None, "a working copy"
    log.info("fetch  %s/%s", url, name)
    try:
        Folder(folder, Bucket(url)).fetch_file(name)
    except FileNotFoundError:
        return


def refuse_writers(path: Path) -> None:
    """Check that no other machine writes to a run, or to its sweep.

    Args:
        path: Its working copy, or any other path.

    Raises:
        DlrunError: If one does.
    """
    for folder in (path, path.parent):
        if (url := url_for(folder)) is not None and "/" in url.partition("://")[2]:
            refuse_other_writer(Bucket(url))


def check_place(folder: Path | str) -> None:
    """Check that runs can be written to a remote folder, before the first of them starts.

    Args:
        folder: As typed.

    Raises:
        DlrunError: If they can't.
    """
    if (url := url_of(folder)) is None:
        if match := re.match(r"(s3a?|gs|gcs|az|abfss?)//", str(folder)):
            typed = str(folder).replace("//", "://", 1)
            raise DlrunError(
                f"runs_dir={folder}: no ':' after {match[1]}", hint=f"runs_dir={typed}"
            )
        return
    try:
        Bucket(url).check_writable()
    except RemoteError as error:
        raise DlrunError(f"runs_dir: {error.message}", hint=error.hint) from error


def _fetch(url: str, is_busy: IsBusy, is_wanted: Callable[[str, int], bool]) -> None:
    """Fetch every run and sweep below a URL, and drop working copies of those that are gone."""
    bucket, path = Bucket(url), working_path(url)
    entries = bucket.list()
    found: dict[str, dict[str, Entry]] = {prefix: {} for prefix in folders(entries)}
    for name in unrecorded_files(entries.keys()):
        entries.pop(name)
    for name, entry in entries.items():
        if (prefix := next((p for p in parents(name) if p in found), None)) is not None:
            found[prefix][name[len(prefix) :].removeprefix("/")] = entry
    for prefix, files in found.items():
        here = path / prefix
        if not (is_busy(here) or is_busy(here.parent)):
            Folder(here, bucket, prefix).fetch(files, is_wanted)
    for known in sorted(path.rglob(FILE)) if is_dir(path) else ():
        folder = known.parent
        if folder.relative_to(path).as_posix().removeprefix(".") not in found:
            _drop(Folder(folder, bucket), is_busy)


def _drop(folder: Folder, is_busy: IsBusy) -> None:
    """Remove a working copy whose run is gone, unless it holds what was never sent."""
    if not folder.unsent() and not is_busy(folder.path) and not is_busy(folder.path.parent):
        shutil.rmtree(folder.path, ignore_errors=True)


def _folder_of(path: Path) -> Path | None:
    """The working copy that a path is part of."""
    if url_for(path) is None:
        return None
    for folder in path.parents:
        if is_file(folder / FILE):
            return folder
        if folder == root():
            break
    return None
