"""``dlrun compare``: what differs between runs, in how they were made and in what came of it."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dlrun.config.recorded import read_config
from dlrun.errors import DlrunError
from dlrun.runs import query
from dlrun.runs.directory import CONFIG, METRICS, RECORD, RunDir
from dlrun.runs.locate import find_run
from dlrun.runs.metric_direction import direction
from dlrun.runs.names import short_names
from dlrun.runs.status import current_status, too_deep
from dlrun.system.files import MAX_BYTES
from dlrun.system.pictures import check_plot, save_plot

log = logging.getLogger("dlrun")

MAX_EPOCHS = 100_000
# What a record tells of the result; its other values tell how the run was made.
RESULT = (
    "status", "error", "stopped_by", "epochs", "best_epoch", "parameters",
    "train", "validation", "test", "seconds", "examples_per_second", "peak_memory_bytes",
)  # fmt: skip
ENVIRONMENT = ("versions", "device", "host", "cores", "git", "data_fingerprint", "init_from")
SPLITS = ("train", "validation", "test")

Curves = dict[str, list[tuple[float, float]]]


def compare(
    names: Sequence[str], *, runs_dir: Path, plot: Path | None = None, all_rows: bool = False
) -> dict[str, Any]:
    """Compare two or more runs.

    Args:
        names: Paths, names or ``latest``.
        runs_dir: Where to look for names.
        plot: A picture to draw of their curves.
        all_rows: Also return what is equal.

    Returns:
        The runs, and by key the values of each in their order: ``config``, ``result`` and
        ``environment``; None where a run has no such value. ``best`` has, for each metric that has
        a better direction, which runs have the best value.

    Raises:
        DlrunError: If there are no two different runs, one can't be read, or nothing can be drawn.
    """
    if plot is not None:
        check_plot(plot)
    opened = [find_run(name, runs_dir) for name in names]
    if len({run.path.resolve() for run in opened}) < max(len(opened), 2):
        raise DlrunError(
            "expected two different runs, or more", hint="dlrun runs lists those that there are"
        )
    records = [_record(run) for run in opened]
    configs = [read_config(run.path / CONFIG) for run in opened]
    parts = {
        "config": [dict(query.flat(config)) for config in configs],
        "result": [_part(record, RESULT) for record in records],
        "environment": [_part(record, ENVIRONMENT) for record in records],
    }
    tables = {name: _rows(columns, all_rows) for name, columns in parts.items()}
    shown = short_names([run.path for run in opened])
    if plot is not None:
        _draw(plot, opened, shown, records)
    return {
        "runs": [
            {"run": name, "run_dir": str(run.path)} for name, run in zip(shown, opened, strict=True)
        ],
        **tables,
        "best": {key: best for key, row in tables["result"].items() if (best := _best(key, row))},
    }


def _record(run: RunDir) -> dict[str, Any]:
    if too_deep(run.record):
        raise DlrunError(f"{run.path / RECORD} is not the record of a run")
    return run.record | current_status(run.path, run.record)


def _part(record: query.Record, keys: Sequence[str]) -> dict[str, Any]:
    return dict(query.flat({key: record[key] for key in keys if key in record}))


def _rows(columns: Sequence[Mapping[str, Any]], all_rows: bool) -> dict[str, list[Any]]:
    keys = dict.fromkeys(key for column in columns for key in column)
    rows = {key: [column.get(key) for column in columns] for key in keys}
    return {key: row for key, row in rows.items() if all_rows or any(v != row[0] for v in row)}


def _best(key: str, row: Sequence[Any]) -> list[int]:
    """Which values of a metric are the best; none where no name tells, or all are alike."""
    split, _, name = key.partition(".")
    values = {index: n for index, v in enumerate(row) if (n := query.number(v)) is not None}
    mode = direction(name, {}) if split in SPLITS else None
    if mode is None or len(set(values.values())) < 2:
        return []
    best = (min if mode == "min" else max)(values.values())
    return [index for index, value in values.items() if value == best]


def _draw(
    plot: Path,
    opened: Sequence[RunDir],
    names: Sequence[str],
    records: Sequence[query.Record],
) -> None:
    from dlrun.report.compare import draw

    curves = [read_curves(run.path / METRICS) for run in opened]
    for name, own in zip(names, curves, strict=True):
        if not own:
            log.warning("%s has no curves: no %s", name, METRICS)
    if not any(curves):
        raise DlrunError("--plot: none of the runs has a curve", hint="the callback csv keeps them")
    labels = [f"{name}  {what}".rstrip() for name, what in zip(names, _typed(records), strict=True)]
    save_plot(draw(labels, curves), plot)


def _typed(records: Sequence[query.Record]) -> list[str]:
    """What was typed for each run and not for all of them."""
    typed = [record.get("overrides") for record in records]
    lists = [[str(o) for o in one] if isinstance(one, list) else [] for one in typed]
    return [" ".join(o for o in one if any(o not in other for other in lists)) for one in lists]


def read_curves(path: Path) -> Curves:
    """Each metric of a ``metrics.csv`` as points ``(epoch, value)``; none where there is no file.

    Raises:
        DlrunError: If it is no such table.
    """
    if not path.is_file():
        return {}
    try:
        if (size := path.stat().st_size) > MAX_BYTES:
            raise ValueError(f"it has {size:,} bytes")
        rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
        if len(rows) > MAX_EPOCHS or (rows and "epoch" not in rows[0]):
            raise ValueError("it is no table of epochs")
    except (OSError, ValueError, csv.Error) as error:
        raise DlrunError(f"{path} can't be read: {error}") from error
    curves: Curves = {}
    for row in rows:
        epoch = query.number(row.pop("epoch"))
        for name, value in row.items():
            point = query.number(value)
            if epoch is not None and point is not None and isinstance(name, str):
                curves.setdefault(name, []).append((epoch, point))
    for name in ("seconds", "learning_rate"):
        curves.pop(name, None)
    return curves
