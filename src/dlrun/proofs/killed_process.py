"""Commands that train a run in a process of their own, which is killed at a moment of the run."""

from __future__ import annotations

import json
import random
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from dlrun.errors import DlrunError
from dlrun.runs.directory import CHECKPOINTS, RECORD
from dlrun.system.child import how_ended

POLL_SECONDS = 0.0005  # a checkpoint is written within milliseconds


@dataclass
class Moment:
    """When to kill: in an epoch, from 1, or at the first save after it has started."""

    epoch: int
    saving: bool


def run_command(command: Sequence[str], raise_if_stopped: Callable[[], None]) -> dict[str, Any]:
    """Run a command to its end.

    Args:
        command: With ``--json``.
        raise_if_stopped: Called while waiting, as in the functions below; what it raises ends the
            process.

    Returns:
        What it prints.

    Raises:
        DlrunError: If it fails.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        with _process(command, stdout=out, stderr=errors) as process:
            while process.poll() is None:
                raise_if_stopped()
                time.sleep(0.01)
        _require_success(process.returncode, command, errors)
        out.seek(0)
        return dict(json.loads(out.read()))


def kill_when_recorded(
    command: Sequence[str], directory: Path, raise_if_stopped: Callable[[], None]
) -> None:
    """Kill a run as soon as there is a record of it."""
    with _process(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and not any(directory.glob(f"*/*/{RECORD}")):
            raise_if_stopped()
            time.sleep(POLL_SECONDS)


def kill_at(
    command: Sequence[str],
    directory: Path,
    moment: Moment,
    epoch_seconds: float,
    raise_if_stopped: Callable[[], None],
) -> str:
    """Run a command, and kill it at its moment or soon after.

    Args:
        command: Trains or resumes a run.
        directory: The ``runs_dir`` of this one run.
        moment: When to kill it.
        epoch_seconds: How long an epoch takes: within one, it is killed after a random part.
        raise_if_stopped: As in :func:`run_command`.

    Returns:
        Where it was killed.

    Raises:
        DlrunError: If it failed, or ended before.
    """
    with (
        tempfile.TemporaryFile() as errors,
        _process(command, stdout=subprocess.DEVNULL, stderr=errors) as process,
    ):
        # With its process id: an earlier, killed process may have left partial checkpoints.
        partial = f"*/*/{CHECKPOINTS}/.epoch-*.partial-{process.pid}"

        def is_due() -> bool:
            if moment.saving:
                return _epochs_done(directory) >= moment.epoch - 1 and any(directory.glob(partial))
            started = any(directory.glob(f"*/*/{RECORD}"))
            return started and _epochs_done(directory) >= moment.epoch - 1

        while process.poll() is None and not is_due():
            raise_if_stopped()
            time.sleep(POLL_SECONDS)
        deadline = time.monotonic() + (0 if moment.saving else random.uniform(0, epoch_seconds))
        while process.poll() is None and time.monotonic() < deadline:
            raise_if_stopped()
            time.sleep(POLL_SECONDS)
        if (code := process.poll()) is not None:
            _require_success(code, command, errors)
            raise DlrunError(
                f"the run ended before it could be killed in epoch {moment.epoch} or later",
                hint="use fewer kills, or more epochs or samples",
                exit_code=1,
            )
    epoch = _epochs_done(directory) + 1
    return f"while epoch {epoch} was saved" if any(directory.glob(partial)) else f"in epoch {epoch}"


def find_run(directory: Path) -> Path:
    """The one run in a ``runs_dir``."""
    [record] = directory.glob(f"*/*/{RECORD}")
    return record.parent


def _epochs_done(directory: Path) -> int:
    from dlrun.checkpoints.store import list_epochs

    epochs = (list_epochs(path) for path in directory.glob(f"*/*/{CHECKPOINTS}"))
    return max((max(saved, default=0) for saved in epochs), default=0)


@contextmanager
def _process(command: Sequence[str], **streams: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process, and kill it at the end of the block."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, **streams)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _require_success(code: int, command: Sequence[str], errors: IO[bytes]) -> None:
    """Check that a process has ended well.

    Raises:
        DlrunError: If it failed, with the error that it wrote to its file.
    """
    if code:
        errors.seek(0)
        why = how_ended(code, errors.read().decode())
        verb = command[command.index("dlrun") + 1]
        raise DlrunError(f"'dlrun {verb}' failed: {why}", exit_code=1)
