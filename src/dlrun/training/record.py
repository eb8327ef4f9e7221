"""The content of ``run.json``: how a run was started, and how it ended."""

from __future__ import annotations

import errno
import hashlib
import logging
import subprocess
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from platform import node, python_version
from typing import TYPE_CHECKING, Any

from dlrun import __version__, backends
from dlrun.assembly.classes import as_config, class_weights
from dlrun.checkpoints.store import describe_newest
from dlrun.data.fingerprint import fingerprint
from dlrun.data.tree import tree_map
from dlrun.errors import DlrunError, RunInterrupted, cut_message, describe, first_line
from dlrun.remote.places import shown_path, typed_path, url_for
from dlrun.report.model_graph.layers import record_of
from dlrun.runs.directory import LOG, MODEL, RECORD, RunDir
from dlrun.system import process, ranks
from dlrun.system.files import FULL, is_file, write_json
from dlrun.system.sources import source_fingerprint

if TYPE_CHECKING:
    from dlrun.data.dataset import Dataset
    from dlrun.training.request import RunRequest

log = logging.getLogger("dlrun")

# Errors that only a write raises, even if they name no file.
UNWRITABLE = (*FULL, errno.EROFS)
TRACE_LINES = 1000


def new_record(request: RunRequest, model: Any, data: Dataset, device: str) -> dict[str, Any]:
    """The record of a run that starts.

    Args:
        request: The run's request.
        model: The built model.
        data: The data set.
        device: The device in use, as ``kind:index``.
    """
    config = request.config
    versions = {"python": python_version(), "dlrun": __version__}
    return {
        "status": "running",
        "command": list(request.command),
        "overrides": list(request.overrides),
        **({"parent": dict(request.parent)} if request.parent else {}),
        **({"side_by_side": request.backend.runs} if request.backend else {}),
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(request.started_at)),
        "versions": versions | backends.keras_versions(config.backend.name),
        "project": request.project_dir,
        "seed": config.seed,
        "backend": config.backend.name,
        "device": device,
        "devices": config.device.count,
        "distribution": config.distribution.kind,
        "precision": config.precision,
        "matmul_precision": config.matmul_precision,
        "host": node(),
        "cores": process.cores(),
        **{group: config.choices.get(group) for group in ("model", "data", "task", "loop")},
        "input_shape": tree_map(list, data.input_shape),
        "data_fingerprint": fingerprint(data),
        **({"length": data.length.to_json()} if data.length else {}),
        "parameters": model.count_params(),
        "class_weight": as_config(class_weights(data, config), data),
        "config": asdict(config),  # also in config.yaml, but JSON is faster to search
    }


def write_model(run: RunDir, model: Any) -> None:
    """Write the model's layers and graph into the run directory, for ``dlrun report``."""
    try:
        write_json(run.path / MODEL, record_of(model), indent=None)
    except OSError:
        raise
    except Exception as error:  # a property of the user's own layer
        log.warning("%s is left out: %s", MODEL, first_line(error))


def written_by(record: Mapping[str, Any]) -> dict[str, Any]:
    """The entry of a checkpoint's manifest for the process that wrote it."""
    keys = ("versions", "cores", "backend", "device", "devices", "distribution")
    return {key: record[key] for key in keys}


def why_not_exact(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """Why a resumed run can't be bit-exact; None if it can.

    Args:
        before: The ``written_by`` of its checkpoint.
        now: The ``written_by`` of this process.
    """
    old, new = ({**by, **by.get("versions", {})} for by in (before, now))
    reasons = [
        f"{key} was {old[key]}, is {new[key]}"
        for key in new
        if key != "versions" and key in old and old[key] != new[key]
    ]
    if not str(now["device"]).startswith("cpu"):
        reasons.append(f"{now['device']} may sum in another order each time")
    return "; ".join(reasons) or None


@contextmanager
def early_lines() -> Iterator[list[logging.LogRecord]]:
    """The lines that are logged before there is a run directory, such as what was found in data."""
    handler = _KeptLines()
    log.addHandler(handler)
    try:
        yield handler.lines
    finally:
        log.removeHandler(handler)


class _KeptLines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record)


@contextmanager
def recording(run: RunDir, early: Sequence[logging.LogRecord] = ()) -> Iterator[None]:
    """Write the log into the run directory, and how the run ended into its record.

    Args:
        run: The directory.
        early: From :func:`early_lines`.

    Raises:
        RunInterrupted: Passed on unchanged.
        DlrunError: For any other exception, with exit code 1.
    """
    file = logging.FileHandler(run.path / LOG, encoding="utf-8", delay=True)
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    if (
        own := threading.current_thread()
    ) is not threading.main_thread():  # it has others beside it
        file.addFilter(lambda line: line.thread == own.ident)
    for line in early:
        file.handle(line)
    log.addHandler(file)
    try:
        yield
    except (RunInterrupted, KeyboardInterrupt) as stop:
        _record_end(run, status="interrupted", stopped_by=f"signal {getattr(stop, 'signum', 2)}")
        log.warning("interrupted; %s", describe_newest(run.checkpoints))
        log.warning("resume with: %s %s", ranks.resume_command(), typed_path(run.path))
        raise
    except Exception as error:
        if not is_file(run.path / RECORD):
            raise DlrunError(
                f"{run.path} is gone: the run's directory was removed or renamed during training",
                hint="train again; if it was renamed, continue it with 'dlrun resume'",
                exit_code=1,
            ) from error
        if isinstance(error, DlrunError):
            _record_end(run, status="failed", error=error.message)
            error.exit_code = 1
            if isinstance(error, ranks.ProcessLostError):
                newest, path = describe_newest(run.checkpoints), typed_path(run.path)
                error.hint = ranks.way_on(newest, path, reason=error.message)
            raise
        message = describe(error)
        trace = cut_message(traceback.format_exc(), lines=TRACE_LINES)
        _record_end(run, status="failed", error=message, traceback=trace)
        if isinstance(error, OSError) and _is_write_error(run, error):
            raise write_error(run, error) from error
        raise DlrunError(
            f"the run failed: {message}",
            hint=f"the traceback is in {run.path / RECORD}",
            exit_code=1,
        ) from error
    finally:
        log.removeHandler(file)
        with suppress(OSError):  # a full disk can't take the rest of the buffer
            file.close()


def write_error(run: RunDir, error: OSError) -> DlrunError:
    """The error for a file of a run that can't be written."""
    fix = "make room" if error.errno in FULL else "make it writable"
    newest = describe_newest(run.checkpoints)
    if url_for(run.path) is not None:
        return DlrunError(
            f"can't write the working copy of {shown_path(run.path)}: {error.strerror or error}",
            hint=f"{newest}; {fix}, or set DLRUN_REMOTE to a folder with room,"
            f" then: {ranks.resume_command()} {typed_path(run.path)}",
            exit_code=1,
        )
    return DlrunError(
        f"can't write {error.filename or f'to {run.path}'}: {error.strerror or error}",
        hint=f"{newest}; {fix}, then: {ranks.resume_command()} {typed_path(run.path)}",
        exit_code=1,
    )


def _is_write_error(run: RunDir, error: OSError) -> bool:
    if isinstance(error.filename, str):
        return Path(error.filename).is_relative_to(run.path)
    return error.errno in UNWRITABLE


def _record_end(run: RunDir, **fields: Any) -> None:
    """Record how a run ended. A failed write must not hide the run's own error."""
    try:
        run.update(**fields)
    except OSError as error:
        log.warning("%s can't be written: %s", run.path / RECORD, error.strerror)


def code_state(project: Path) -> dict[str, Any]:
    """What ``run.json`` records of the code: ``git`` and ``code``.

    Args:
        project: From :func:`dlrun.config.options.project_dir`.
    """
    return {"git": git_state(), "code": source_fingerprint(project)}


def git_state() -> dict[str, Any]:
    """The commit of the working directory, whether files differ from it, and a hash of how.

    None without git. Files that git does not track are not looked at.
    """
    state: dict[str, Any] = {"commit": None, "dirty": None}
    try:
        state["commit"] = _git("rev-parse", "HEAD").decode().strip()
        state["dirty"] = bool(_git("status", "--porcelain", "--untracked-files=no").strip())
        if state["dirty"]:
            state["diff"] = hashlib.sha256(_git("diff", "HEAD", "--no-ext-diff")).hexdigest()[:16]
    except (OSError, ValueError, subprocess.SubprocessError):
        pass
    return state


def _git(*words: str) -> bytes:
    return subprocess.run(["git", *words], capture_output=True, timeout=10, check=True).stdout
