"""The format of a checkpoint on disk: arrays, state, and a manifest of hashes.

A checkpoint is a directory. It is written under a temporary name, flushed to disk and renamed, so
that it is always complete under its own name, even if the process or the machine dies. Any backend
can read it.
"""

import hashlib
import json
import os
import re
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dlrun.checkpoints.history import HISTORY, add_to_state, read_lines
from dlrun.checkpoints.store import (
    ARRAYS,
    MANIFEST,
    STATE,
    Position,
    checkpoint_path,
    remove_checkpoint,
    suggest_other_checkpoints,
)
from dlrun.errors import DlrunError
from dlrun.remote.fetch import fetch_file
from dlrun.system.arrays import check_npz
from dlrun.system.files import exists, read_json

FORMATS = (1, 2)  # in the first, the state holds the whole history
PARTS = ("model", "optimizer", "metrics", "random")


@dataclass(frozen=True)
class Variable:
    """One variable of the model or of the optimizer.

    Args:
        path: Keras' name for it, such as ``mnist_mlp/dense/kernel``; for people, not for matching.
        value: Its value, in the variable's own dtype.
    """

    path: str
    value: np.ndarray


@dataclass(frozen=True)
class CheckpointData:
    """Everything a run needs to resume, at the end of an epoch or between two steps.

    ``metrics`` and ``random``, the running metrics and the state of the framework's own generator,
    are empty at the end of an epoch, as the next epoch resets them.
    """

    model: list[Variable]
    optimizer: list[Variable]
    metrics: list[Variable]
    random: list[Variable]
    state: dict[str, Any]
    written_by: dict[str, Any]


def write_checkpoint(
    directory: Path,
    at: Position,
    variables: Mapping[str, Sequence[Variable]],
    state: Mapping[str, Any],
    *,
    written_by: Mapping[str, Any],
    history: Mapping[str, Any] | None = None,
) -> Path:
    """Write one checkpoint atomically.

    Args:
        directory: The directory of checkpoints; created if missing, but not its parent: without
            it, someone has removed the run's directory.
        at: The position in training.
        variables: The variables of each part, one of ``PARTS``, in the part's own order.
        state: Everything that is not an array, in JSON types.
        written_by: Versions and cores, recorded in the manifest.
        history: How much of the history's file belongs to it, from
            :meth:`dlrun.checkpoints.history.HistoryFile.mark`; None if the state holds all.

    Returns:
        The checkpoint's directory.

    Raises:
        OSError: If it can't be written, with its path; earlier checkpoints are unchanged.
    """
    final = checkpoint_path(directory, at)
    partial = directory / f".{final.name}.partial-{os.getpid()}"
    try:
        directory.mkdir(exist_ok=True)
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        index = _write_arrays(partial / ARRAYS, variables)
        (partial / STATE).write_text(json.dumps(state, indent=1), encoding="utf-8")
        manifest: dict[str, Any] = {
            "format": 1 if history is None else 2,
            "epochs": at.epochs,
            "steps": at.steps,
            "written_by": dict(written_by),
            "files": {name: _sha256(partial / name) for name in (ARRAYS, STATE)},
            "arrays": index,
            **({} if history is None else {"history": dict(history)}),
        }
        manifest["sha256"] = _digest(manifest)
        (partial / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        for name in (ARRAYS, STATE, MANIFEST):
            _flush(partial / name)
        _flush(partial)
        if exists(final):
            remove_checkpoint(final)
        partial.rename(final)
        _flush(directory)
    except BaseException as error:
        shutil.rmtree(partial, ignore_errors=True)
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror, str(final)) from error
        raise
    return final


def _write_arrays(path: Path, variables: Mapping[str, Sequence[Variable]]) -> list[dict[str, Any]]:
    """Write the variables as an ``.npz``; returns the manifest's entries of its arrays."""
    index, arrays = [], {}
    for part, part_variables in variables.items():
        for number, variable in enumerate(part_variables):
            key, value = f"{part}/{number:04d}", np.asarray(variable.value)
            shape, dtype = list(value.shape), value.dtype.name
            index.append({"key": key, "path": variable.path, "shape": shape, "dtype": dtype})
            arrays[key] = _to_builtin_dtype(value)
    with path.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]  # numpy's stub takes kwargs for allow_pickle
    return index


def read_checkpoint(path: Path, *, history: bool = True) -> CheckpointData:
    """Read a checkpoint, and check every byte against the manifest.

    Args:
        path: The checkpoint's directory.
        history: Whether to read the history too, into the state.

    Raises:
        DlrunError: If a file is missing, damaged or of another format.
    """
    fetch_file(path / ARRAYS)
    try:
        manifest = read_json(path / MANIFEST)
        if manifest["format"] not in FORMATS:
            raise DlrunError(
                f"checkpoint {path} has format {manifest['format']}; this dlrun reads 1 and 2",
                hint="use the version of dlrun that wrote it",
            )
        if manifest.pop("sha256") != _digest(manifest):
            raise DlrunError(
                f"checkpoint {path} is damaged: {MANIFEST} does not match its own hash",
                hint=suggest_other_checkpoints(path),
            )
        for name, expected in manifest["files"].items():
            if name not in (ARRAYS, STATE) or _sha256(path / name) != expected:
                raise DlrunError(
                    f"checkpoint {path} is damaged: {name} does not match its hash in {MANIFEST}",
                    hint=suggest_other_checkpoints(path),
                )
        state = read_json(path / STATE)
        if history and "history" in manifest:
            add_to_state(state, read_lines(path.parent / HISTORY, manifest["history"]))
        parts: dict[str, list[Variable]] = {part: [] for part in PARTS}
        check_npz(path / ARRAYS, packed=False)
        if len({entry["key"] for entry in manifest["arrays"]}) != len(manifest["arrays"]):
            raise ValueError(f"{MANIFEST} names an array twice")
        with np.load(path / ARRAYS, allow_pickle=False) as arrays:
            for entry in manifest["arrays"]:
                value = _to_dtype(arrays[entry["key"]], entry["dtype"])
                parts[entry["key"].partition("/")[0]].append(Variable(entry["path"], value))
        written_by = dict(manifest["written_by"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise DlrunError(
            f"checkpoint {path} can't be read: {error}", hint=suggest_other_checkpoints(path)
        ) from error
    return CheckpointData(**parts, state=state, written_by=written_by)


def _to_builtin_dtype(value: np.ndarray) -> np.ndarray:
    # NumPy's format does not know bfloat16 and the float8 types: store their bits.
    return value if value.dtype.isbuiltin == 1 else value.view(f"u{value.dtype.itemsize}")


def _to_dtype(value: np.ndarray, dtype: str) -> np.ndarray:
    if value.dtype.name == dtype:
        return value
    import ml_dtypes

    if not re.fullmatch(r"(b?float|b?complex|u?int)[0-9]\w*", dtype):
        raise ValueError(f"unknown dtype {dtype!a:.80}")
    return value.view(getattr(ml_dtypes, dtype))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(manifest: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest).encode()).hexdigest()


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
