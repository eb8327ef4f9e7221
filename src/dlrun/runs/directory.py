"""Run directories: ``runs/<name>/<date>_<time>_<id>/``, and the record kept in ``run.json``."""

import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from platform import node
from typing import Any

from dlrun.errors import DlrunError
from dlrun.remote.places import working_folder
from dlrun.runs.annotations import has_annotations_alone
from dlrun.system.files import is_dir, refusal_code, write_json, write_text

RECORD, CONFIG, OVERRIDES, INPUTS, METRICS, CHECKPOINTS, PLOTS, LOG, LOCK = (
    "run.json",
    "config.yaml",
    "overrides.yaml",
    "inputs.json",
    "metrics.csv",
    "checkpoints",
    "plots",
    "dlrun.log",
    ".lock",
)
MODEL = "model.json"  # what a page shows of the model
SWEEP_FILE = "sweep.json"  # the record of a sweep, in its own directory
TIME_FORMAT = "%Y-%m-%d_%H-%M-%S"
# No letters and digits that look alike, as people read these names aloud.
_ID_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


# The directories that this process has locked. Opening a lock's file again would end the lock.
_held: set[Path] = set()


def is_held(directory: Path) -> bool:
    """Whether this process holds the lock of a directory, perhaps in another thread."""
    return bool(_held) and directory.resolve() in _held


@contextmanager
def lock(directory: Path) -> Iterator[None]:
    """Hold the lock of a run or a sweep: no other process writes there. A dead process holds none.

    Args:
        directory: The directory of the run or the sweep.

    Raises:
        DlrunError: If another process holds the lock, or it can't be written.
    """
    path, held = directory / LOCK, directory.resolve()
    if held in _held:
        raise DlrunError(f"{directory} is being written by this process")
    try:
        file = path.open("a+", encoding="utf-8")
    except OSError as error:
        raise DlrunError(f"can't write to {path}: {error.strerror}", exit_code=1) from error
    with file:
        try:
            # lockf: unlike with flock(), a child process that outlives this one has no lock.
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            raise DlrunError(
                f"{directory} is being written by process {file.read().strip()}",
                hint="wait until it ends, or stop it",
            ) from error
        try:
            file.truncate(0)
            file.write(f"{os.getpid()} on {node()}\n")
            file.flush()
        except OSError as error:
            raise DlrunError(f"can't write to {path}: {error.strerror}", exit_code=1) from error
        _held.add(held)
        try:
            yield
        finally:
            _held.discard(held)


class RunDir:
    """The directory of one run.

    Args:
        path: The directory.
        record: The content of its ``run.json``.
    """

    def __init__(self, path: Path, record: dict[str, Any]) -> None:
        self.path = path
        self.record = record

    @property
    def checkpoints(self) -> Path:
        """The directory of the run's checkpoints."""
        return self.path / CHECKPOINTS

    @property
    def predictions(self) -> Path:
        """Where predictions are written, unless a file is named."""
        return self.path / "predictions.npz"

    @property
    def project(self) -> str | None:
        """Where it was trained, if that is an existing directory other than this one."""
        project = self.record.get("project")
        if not isinstance(project, str) or not project.isprintable():
            return None
        path = Path(project)
        return project if path.is_absolute() and is_dir(path) and path != Path.cwd() else None

    def clean(self) -> None:
        """Remove partial files of a killed process; needs the lock."""
        for leftover in (*self.path.rglob(".*.partial-[0-9]*"), *self.path.glob(".partial-*")):
            with suppress(OSError):  # partial checkpoints are directories
                leftover.unlink()

    def update(self, **fields: Any) -> None:
        """Change fields of the record and rewrite ``run.json`` atomically."""
        self.record |= fields
        write_json(self.path / RECORD, self.record)


def plan_run_path(runs_dir: Path, name: str) -> Path:
    """A unique path for a new run; nothing is created.

    Args:
        runs_dir: The folder of the runs; for a remote one the path is that of a working copy.
        name: Of the run's config.
    """
    now = time.strftime(TIME_FORMAT)
    unique = "".join(secrets.choice(_ID_LETTERS) for _ in range(4))
    return working_folder(runs_dir) / name / f"{now}_{unique}"


def create_run(path: Path, record: dict[str, Any], files: dict[str, str]) -> RunDir:
    """Create a run's directory with its first files.

    Args:
        path: From :func:`plan_run_path`.
        record: The initial content of ``run.json``.
        files: Texts by file name.

    Raises:
        DlrunError: If it exists already, or can't be written.
    """
    created = False
    try:
        annotated = has_annotations_alone(path)
        path.mkdir(parents=True, exist_ok=annotated)
        created = not annotated
        for name, text in files.items():
            write_text(path / name, text)
        run = RunDir(path, record)
        run.update()
    except OSError as error:
        if created:  # a run that could not start leaves nothing
            shutil.rmtree(path, ignore_errors=True)
        with suppress(OSError):  # other runs are in it
            path.parent.rmdir()
        raise DlrunError(
            f"can't create the run directory {path}: {error.strerror or error}",
            hint="choose another place with runs_dir=PATH",
            exit_code=refusal_code(error),
        ) from error
    return run
