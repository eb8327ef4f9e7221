"""Find run directories: by path, by name or id, or the newest one in a folder."""

import os
import re
import stat
import time
from collections.abc import Container, Iterable, Iterator, Sequence
from pathlib import Path

from dlrun.errors import DlrunError, counted, nearest
from dlrun.remote.fetch import fetch_listing, fetch_run
from dlrun.remote.places import shown_path, typed_path, url_for, url_of
from dlrun.runs.directory import CONFIG, RECORD, SWEEP_FILE, TIME_FORMAT, RunDir
from dlrun.runs.names import has_name, is_renamed
from dlrun.runs.status import is_locked
from dlrun.system.files import exists, is_dir, is_file, read_json

FORMER_NAMES = "former_names"  # in the record of a run that was renamed: of its directory, in order
SHORTEST_PART = 3  # of a name, by which a run is suggested


def iter_runs(folder: Path) -> Iterator[Path]:
    """Yield each run directory in a folder, at any depth; runs are not searched for runs.

    Raises:
        DlrunError: If the folder can't be read; unreadable subfolders are skipped.
    """
    for run, _ in scan_runs(folder):
        yield Path(run)


def scan_runs(folder: Path, *, known: Container[str] = ()) -> Iterator[tuple[str, os.stat_result]]:
    """Yield each run directory as :func:`iter_runs`, with the status of its ``run.json``.

    Args:
        folder: Where to look.
        known: Directories that were runs: one that still has a record is found without a scan.

    Yields:
        The directory as text: a Path for each of thousands takes a third of the time.

    Raises:
        DlrunError: If the folder can't be read.
    """
    first = str(folder)
    pending = [first]
    while pending:
        current = pending.pop()
        if current in known and (status := _record_status(current)):
            yield current, status
            continue
        try:
            with os.scandir(current) as scan:
                entries = list(scan)
        except OSError as error:
            if current == first:
                hint = "name a folder with runs in it, such as runs"
                raise DlrunError(f"can't read {folder}: {error.strerror}", hint=hint) from error
            continue
        # Links are never followed, as they may form a cycle; reading a pipe would never end.
        if any(e.name == RECORD for e in entries) and (status := _record_status(current)):
            yield current, status
            continue
        for entry in entries:
            if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False):
                pending.append(entry.path.removeprefix("./"))  # as a Path writes it


def _record_status(folder: str) -> os.stat_result | None:
    """Of the ``run.json`` in a folder; None if there is none, or it is no regular file."""
    try:
        status = os.stat(f"{folder}/{RECORD}", follow_symlinks=False)  # noqa: PTH116 - faster
    except OSError:
        return None
    return status if stat.S_ISREG(status.st_mode) else None


def find_run(run: str, runs_dir: Path) -> RunDir:
    """Open a run by its path, name or id, or the newest run at any depth with ``latest``.

    Args:
        run: A path or a URL, ``latest``, or a name from ``dlrun runs``.
        runs_dir: Where to look for ``latest`` and for names; it may be remote.

    Raises:
        DlrunError: If there is no such run, or the path is not a run directory.
    """
    path, is_remote = Path(run), url_of(run) is not None
    if is_remote:
        path = fetch_run(run, is_locked)
    elif not is_dir(path):
        is_remote = url_of(runs_dir) is not None
        runs_dir = fetch_listing(runs_dir, is_locked)
    if run == "latest" and not exists(path):
        configs = [path / CONFIG for path in iter_runs(runs_dir)] if is_dir(runs_dir) else []
        newest = max(filter(is_file, configs), key=_recency, default=None)
        if newest is None:
            raise DlrunError(
                f"no runs in {runs_dir}", hint="train one with 'dlrun train', or give a path"
            )
        path = newest.parent
    if not is_dir(path):
        path = _find_by_name(run, runs_dir)
    if is_remote and (url := url_for(path)) and url_of(run) is None:
        fetch_run(url, is_locked)
    if is_file(path / SWEEP_FILE) and not is_file(path / RECORD):
        raise _is_sweep(path)
    for name in (RECORD, CONFIG):
        if not is_file(path / name):
            hint = f"a run is {runs_dir}/<name>/<date>_<time>_<id>; 'latest' names the newest"
            # As deep as runs lie: the folder may hold anything else.
            if inner := [*path.glob(f"*/{CONFIG}"), *path.glob(f"*/*/{CONFIG}")]:
                hint = f"the newest run in it is {max(inner, key=_recency).parent}"
            raise DlrunError(f"{path} is not a run directory: it has no {name}", hint=hint)
    _refuse_links(path)
    try:
        record = read_json(path / RECORD)
    except (OSError, ValueError) as error:
        raise DlrunError(f"{path / RECORD} can't be read: {error}") from error
    if not isinstance(record, dict):
        raise DlrunError(f"{path / RECORD} is not the record of a run")
    return RunDir(path, record)


def find_sweep(name: str, runs_dir: Path, *, latest: bool = False) -> Path | None:
    """The directory of a sweep, by its path, name or id; None if it names none, or several.

    Args:
        name: A path, a URL, or a name or an id.
        runs_dir: Where to look for names, in its ``sweeps`` or those of its folders; it may be
            remote.
        latest: Whether ``latest`` is the newest one.
    """
    path = fetch_run(name, is_locked) if url_of(name) else Path(name)
    if is_dir(path):
        return path if is_file(path / SWEEP_FILE) else None
    runs_dir = fetch_listing(runs_dir, is_locked)
    for folders in ("", "*/", "*/*/"):
        sweeps = [file.parent for file in runs_dir.glob(f"{folders}sweeps/*/{SWEEP_FILE}")]
        if latest and name == "latest" and sweeps:
            return max(sweeps, key=lambda sweep: sweep.name)
        if found := [sweep for sweep in sweeps if has_name(sweep, name)]:
            return found[0] if len(found) == 1 else None
    return None


def _is_sweep(path: Path) -> DlrunError:
    first = min((run.parent.name for run in path.glob(f"*/{RECORD}")), default="0")
    shown = typed_path(path)
    return DlrunError(
        f"{shown_path(path)} is a sweep, not a run",
        hint=f"name one of its runs, as {shown}/{first}; dlrun sweep --resume {shown} completes it",
    )


def _find_by_name(run: str, runs_dir: Path) -> Path:
    """The only run with this name or id; if none has it, the one that had it before a rename.

    Raises:
        DlrunError: If there is none, or more than one.
    """
    runs = sorted(iter_runs(runs_dir)) if is_dir(runs_dir) else []
    matches = [path for path in runs if has_name(path, run)]
    matches = matches or [path for path in runs if is_renamed(path) and _had_name(path, run)]
    if not matches and (sweep := find_sweep(run, runs_dir)) is not None:
        raise _is_sweep(sweep)
    if not matches:
        hint = "'latest' names the newest run, and 'dlrun runs' lists them"
        complete = _oldest_first(runs)
        if of_name := [path for path in complete if path.parent.name == run]:  # train name=...
            newest = of_name[-1]
            hint = (
                f"{newest.parent} has {counted(len(of_name), 'run')}; the newest is {newest.name}"
            )
        elif near := _near_name(run, complete):
            hint = f"did you mean {near}?"
        raise DlrunError(f"no run directory at {run}", hint=hint)
    if len(matches) > 1:
        raise DlrunError(f"{len(matches)} runs are named {run}", hint=f"the first is {matches[0]}")
    return matches[0]


def _near_name(run: str, runs: Sequence[Path]) -> str | None:
    """What is typed for the newest run that has ``run`` in its name, or a similar name.

    Args:
        run: As typed.
        runs: From the oldest to the newest.
    """
    part = Path(run).name
    if len(part) >= SHORTEST_PART and (found := [path for path in runs if part in path.name]):
        return str(found[-1])
    names = {path.parent.name: str(path) for path in runs}
    names |= {path.name.split("_")[-1]: path.name.split("_")[-1] for path in runs}
    names |= {path.name: str(path) for path in runs} | {"latest": "latest"}
    near = nearest(part, names)
    return names[near] if near else None


def _oldest_first(runs: Iterable[Path]) -> list[Path]:
    """Runs by their age, without those that have no config."""
    complete = [path for path in runs if is_file(path / CONFIG)]
    return sorted(complete, key=lambda path: _recency(path / CONFIG))


def _had_name(path: Path, name: str) -> bool:
    try:
        former = read_json(path / RECORD)[FORMER_NAMES]
        return any(has_name(path.with_name(one), name) for one in former)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _refuse_links(path: Path) -> None:
    """Refuse links out of the run: in a copied run, they could let dlrun read or write anywhere.

    Raises:
        DlrunError: If a link leads out of the run, or an entry is neither file nor directory.
    """
    home = path.resolve()
    for entry in path.rglob("*"):
        if entry.is_symlink() and not Path(os.path.realpath(entry)).is_relative_to(home):
            raise DlrunError(
                f"{entry} is a link that leads out of the run",
                hint="copy the run with what it links to: cp -rL",
            )
        if exists(entry) and not (is_file(entry) or is_dir(entry)):
            raise DlrunError(
                f"{entry} is neither a file nor a directory",
                hint="remove it: a run has no such files",
            )


def _recency(config: Path) -> tuple[str, int]:
    # By name, which a copy keeps. The config is written only once, so its time orders runs of the
    # same second, and replaces the time of a run that was renamed.
    written = config.stat().st_mtime_ns
    name = config.parent.name[: len("2026-11-21_10-04-31")]
    if not re.fullmatch(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d", name):
        name = time.strftime(TIME_FORMAT, time.localtime(written / 1e9))
    return name, written
