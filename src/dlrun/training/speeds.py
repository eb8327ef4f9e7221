"""The speeds that ``dlrun bench`` has measured, by model, data and batch size.

They are kept beside the compiled functions, so that a run can tell that another backend is faster.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from dlrun import backends
from dlrun.config.schema import Config
from dlrun.system import process
from dlrun.system.files import is_file, read_json, write_json
from dlrun.system.gpus import visible_gpus
from dlrun.system.user_cache import user_cache

FOLDER = "bench"
SLOWER = 10  # times as long a step as on another backend: worth a line
# Of the data: what changes no step.
IGNORED = ("seed", "limit", "validation_samples", "cache_gb", "fold")


def speeds_path(config: Config) -> Path:
    """The file of a config's speeds; one for each model, data set, batch size, width and machine.

    Machines may share a home directory, and a container may be given other cores.
    """
    data = {key: value for key, value in config.data.items() if key not in IGNORED}
    what = {
        "model": config.model,
        "data": data,
        "batch_size": config.batch_size,
        "precision": config.precision,
        "device": asdict(config.device),
        "cores": process.cores(),
        "processor": process.processor(),
        "gpus": len(visible_gpus()),
    }
    text = json.dumps(what, sort_keys=True, default=str)
    return user_cache() / FOLDER / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"


def keep_speeds(config: Config, rows: Sequence[Mapping[str, Any]]) -> Path | None:
    """Keep what was measured; what is kept of other backends stays. None if it can't be written."""
    path = speeds_path(config)
    speeds = _read(path)
    for row in rows:
        if row.get("step_seconds"):
            speeds.setdefault(row["backend"], {})[row["loop"]] = row["step_seconds"]
    entries = {name: {"versions": _versions(name), "loops": of} for name, of in speeds.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, entries)
    except OSError:
        return None
    return path


def fastest_elsewhere(config: Config) -> tuple[str, str, float] | None:
    """Backend, loop and seconds of the fastest step on another backend; None if none is kept."""
    speeds = _read(speeds_path(config))
    found = [
        (seconds, backend, loop)
        for backend, loops in speeds.items()
        if backend != config.backend.name
        for loop, seconds in loops.items()
    ]
    if not found:
        return None
    seconds, backend, loop = min(found)
    return backend, loop, seconds


def _versions(backend: str) -> list[str | None]:
    return [backends.installed_version(backend), metadata.version("keras")]


def _read(path: Path) -> dict[str, dict[str, float]]:
    """Seconds by backend and loop, of the versions that are installed now."""
    speeds: dict[str, dict[str, float]] = {}
    with suppress(OSError, ValueError, TypeError, AttributeError, KeyError):
        if is_file(path):
            for backend, entry in read_json(path).items():
                if backend not in backends.names() or entry["versions"] != _versions(backend):
                    continue
                kept = {str(loop): float(value) for loop, value in entry["loops"].items()}
                speeds[backend] = {loop: value for loop, value in kept.items() if value > 0}
    return speeds
