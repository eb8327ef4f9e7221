"""Find run directories: by path, by name or id, or the newest of a folder."""

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

from dlrun.errors import DlrunError
from dlrun.runs.directory import CONFIG, RECORD, TIME_FORMAT, RunDir
from dlrun.runs.names import is_called
from dlrun.system.files import read_json


def iter_runs(folder: Path) -> Iterator[Path]:
    """Yield each run directory in a folder, at any depth; what lies in a run is not searched.

    Raises:
        DlrunError: If the folder itself can't be read; one below it that can't is passed by.
    """
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        try:
            with os.scandir(here) as entries:
                found = {entry.name: entry for entry in entries}
        except OSError as error:
            if here == folder:
                raise DlrunError(f"can't read {folder}: {error.strerror}") from error
            continue
        # No link is followed, here or below: it could lead in a circle, and a pipe has no end.
        if RECORD in found and found[RECORD].is_file(follow_symlinks=False):
            yield here
            continue
        for name, entry in found.items():
            if not name.startswith(".") and entry.is_dir(follow_symlinks=False):
                waiting.append(here / name)


def find_run(run: str, runs_dir: Path) -> RunDir:
    """Open a run by its path, by its name or id, or the newest at any depth with ``latest``.

    Args:
        run: A path, ``latest``, or what ``dlrun runs`` calls it.
        runs_dir: Where to look for ``latest`` and for names.

    Raises:
        DlrunError: If there is no such run, or the path is no run directory.
    """
    path = Path(run)
    if run == "latest" and not path.exists():
        configs = [found / CONFIG for found in iter_runs(runs_dir)] if runs_dir.is_dir() else []
        newest = max(filter(Path.is_file, configs), key=_recency, default=None)
        if newest is None:
            raise DlrunError(
                f"no runs in {runs_dir}", hint="train one with 'dlrun train', or give a path"
            )
        path = newest.parent
    if not path.is_dir():
        path = _called(run, runs_dir)
    for name in (RECORD, CONFIG):
        if not (path / name).is_file():
            raise DlrunError(
                f"{path} is not a run directory: it has no {name}",
                hint=f"a run is {runs_dir}/<name>/<date>_<time>_<id>; 'latest' names the newest",
            )
    _refuse_links(path)
    try:
        record = read_json(path / RECORD)
    except (OSError, ValueError) as error:
        raise DlrunError(f"{path / RECORD} can't be read: {error}") from error
    if not isinstance(record, dict):
        raise DlrunError(f"{path / RECORD} is not the record of a run")
    return RunDir(path, record)


def _called(run: str, runs_dir: Path) -> Path:
    """The one run that is called so.

    Raises:
        DlrunError: If there is none, or more than one.
    """
    called = (
        sorted(p for p in iter_runs(runs_dir) if is_called(p, run)) if runs_dir.is_dir() else []
    )
    if not called:
        hint = "'latest' names the newest run, and 'dlrun runs' lists them"
        raise DlrunError(f"no run directory at {run}", hint=hint)
    if len(called) > 1:
        raise DlrunError(f"{len(called)} runs are called {run}", hint=f"the first is {called[0]}")
    return called[0]


def _refuse_links(path: Path) -> None:
    """A link in a run that was copied could have us write, or read, anywhere.

    Raises:
        DlrunError: If one leads out of the run, or something is neither file nor directory.
    """
    home = path.resolve()
    for entry in path.rglob("*"):
        if entry.is_symlink() and not Path(os.path.realpath(entry)).is_relative_to(home):
            raise DlrunError(
                f"{entry} is a link that leads out of the run",
                hint="copy the run with what it links to: cp -rL",
            )
        if entry.exists() and not (entry.is_file() or entry.is_dir()):
            raise DlrunError(f"{entry} is no file", hint="a run has nothing of this kind")


def _recency(config: Path) -> tuple[str, int]:
    # By the name, which a copy keeps; the config is written once, so its time tells runs of the
    # same second apart, and stands for the name of a run that was given another.
    written = config.stat().st_mtime_ns
    name = config.parent.name[: len("2026-11-21_10-04-31")]
    if not re.fullmatch(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d", name):
        name = time.strftime(TIME_FORMAT, time.localtime(written / 1e9))
    return name, written
