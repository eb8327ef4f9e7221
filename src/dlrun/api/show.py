"""``dlrun show``: one run at a glance."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from dlrun.config.run_config import read_config
from dlrun.runs.annotations import read_annotations
from dlrun.runs.directory import CONFIG
from dlrun.runs.history import PLACES, read_history
from dlrun.runs.locate import find_run
from dlrun.runs.logged_names import by_metric
from dlrun.runs.names import short_names
from dlrun.runs.status import current_record


def show(run: str, *, runs_dir: Path = Path("runs")) -> dict[str, Any]:
    """What is known of a run; no framework is imported.

    Args:
        run: A run directory, its id, or ``latest``.
        runs_dir: Where to look for ids and ``latest``.

    Returns:
        ``run``, ``run_dir``, ``tags``, ``note``, ``record`` (``run.json`` without the config),
        ``config``, ``curves`` (the values of each epoch by logged name), and ``files`` with their
        bytes.

    Raises:
        DlrunError: If there is no such run, or a file of it can't be read.
    """
    opened = find_run(run, runs_dir)
    record = current_record(opened)
    record.pop("config", None)
    return {
        "run": short_names([opened.path.absolute()], parts=2)[0],
        "run_dir": str(opened.path),
        **read_annotations(opened.path),
        "record": record,
        "config": read_config(opened.path / CONFIG),
        "curves": _curves(opened.path),
        "files": _files(opened.path),
    }


def _curves(run: Path) -> dict[str, list[float | None]]:
    rows = read_history(run)
    names = [name for name in (rows[0] if rows else ()) if name not in PLACES]
    metrics = [name for of in by_metric(names).values() for name in of]
    return {name: [_finite(row.get(name)) for row in rows] for name in metrics}


def _finite(value: Any) -> float | None:
    return value if isinstance(value, int | float) and math.isfinite(value) else None


def _files(run: Path) -> dict[str, int]:
    """The bytes of each file, and of all that is in each folder."""
    sizes: dict[str, int] = {}
    for path in sorted(run.iterdir()):
        if path.name.startswith(".") or path.is_symlink():
            continue
        if path.is_dir():
            inner = (file for file in path.rglob("*") if file.is_file() and not file.is_symlink())
            sizes[f"{path.name}/"] = sum(file.stat().st_size for file in inner)
        elif path.is_file():
            sizes[path.name] = path.stat().st_size
    return sizes
