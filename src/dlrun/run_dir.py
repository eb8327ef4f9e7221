"""Run directories: ``runs/<name>/<date>_<time>_<id>/``, and the record kept in ``run.json``."""

import fcntl
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from platform import node
from typing import Any

from dlrun.errors import DlrunError
from dlrun.files import read_json, write_text
from dlrun.run_names import is_called

RECORD, CONFIG, OVERRIDES, METRICS, CHECKPOINTS, LOG, LOCK = (
    "run.json",
    "config.yaml",
    "overrides.yaml",
    "metrics.csv",
    "checkpoints",
    "dlrun.log",
    ".lock",
)
NAME = "%Y-%m-%d_%H-%M-%S"
# No letters and digits that look alike: people read these names to each other.
_ID_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


class RunDir:
    """One run's directory.

    Args:
        path: Where it is.
        record: The content of its ``run.json``.
    """

    def __init__(self, path: Path, record: dict[str, Any]) -> None:
        self.path = path
        self.record = record

    @property
    def checkpoints(self) -> Path:
        """Where the run's checkpoints lie."""
        return self.path / CHECKPOINTS

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the one process that writes here; a process that dies lets go of it.

        Raises:
            DlrunError: If another process is, or the lock can't be written.
        """
        path = self.path / LOCK
        try:
            file = path.open("a+", encoding="utf-8")
        except OSError as error:
            raise DlrunError(f"can't write to {path}: {error.strerror}", exit_code=1) from error
        with file:
            try:
                # Of the process: a child that outlives it does not hold it, as flock() lets one.
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                file.seek(0)
                raise DlrunError(
                    f"{self.path} is being written by process {file.read().strip()}",
                    hint="wait for its end, or stop it",
                ) from error
            try:
                file.truncate(0)
                file.write(f"{os.getpid()} on {node()}\n")
                file.flush()
            except OSError as error:
                raise DlrunError(f"can't write to {path}: {error.strerror}", exit_code=1) from error
            yield

    def clean(self) -> None:
        """Remove the files that a process that was killed had begun to write; under the lock."""
        for leftover in (*self.path.rglob(".*.partial-[0-9]*"), *self.path.glob(".partial-*")):
            with suppress(OSError):  # of those in checkpoints, which are directories
                leftover.unlink()

    def update(self, **fields: Any) -> None:
        """Change fields of the record and rewrite ``run.json``, whole or not at all."""
        self.record |= fields
        write_text(self.path / RECORD, json.dumps(self.record, indent=2) + "\n")


def below(folder: Path) -> Iterator[Path]:
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


def planned(runs_dir: Path, name: str) -> Path:
    """A path for a new run that no other run has; nothing is created."""
    now = time.strftime(NAME)
    unique = "".join(secrets.choice(_ID_LETTERS) for _ in range(4))
    return runs_dir / name / f"{now}_{unique}"


def create(path: Path, record: dict[str, Any], files: dict[str, str]) -> RunDir:
    """Create a run's directory with its first files.

    Args:
        path: From :func:`planned`.
        record: The first content of ``run.json``.
        files: Texts by file name.

    Raises:
        DlrunError: If it can't be written to, or is there already.
    """
    ours = False
    try:
        path.mkdir(parents=True, exist_ok=False)
        ours = True
        for name, text in files.items():
            write_text(path / name, text)
        run = RunDir(path, record)
        run.update()
    except OSError as error:
        if ours:  # nothing stays of a run that could not begin
            shutil.rmtree(path, ignore_errors=True)
        raise DlrunError(
            f"can't create the run directory {path}: {error.strerror or error}",
            hint="choose another place with runs_dir=PATH",
        ) from error
    return run


def find(run: str, runs_dir: Path) -> RunDir:
    """Open a run by its path, by its name or id, or the newest at any depth with ``latest``.

    Args:
        run: A path, ``latest``, or what ``dlrun runs`` calls it.
        runs_dir: Where to look for ``latest`` and for names.

    Raises:
        DlrunError: If there is no such run, or the path is no run directory.
    """
    path = Path(run)
    if run == "latest" and not path.exists():
        configs = [run / CONFIG for run in below(runs_dir)] if runs_dir.is_dir() else []
        newest = max(filter(Path.is_file, configs), key=_age, default=None)
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
    called = sorted(p for p in below(runs_dir) if is_called(p, run)) if runs_dir.is_dir() else []
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


def _age(config: Path) -> tuple[str, int]:
    # By the name, which a copy keeps; the config is written once, so its time tells runs of the
    # same second apart, and stands for the name of a run that was given another.
    written = config.stat().st_mtime_ns
    name = config.parent.name[: len("2026-11-21_10-04-31")]
    if not re.fullmatch(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d", name):
        name = time.strftime(NAME, time.localtime(written / 1e9))
    return name, written
