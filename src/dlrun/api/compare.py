"""``dlrun compare``: how runs differ in config, result and environment."""

from __future__ import annotations

import logging
import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dlrun.config.run_config import read_config
from dlrun.errors import DlrunError
from dlrun.runs import query
from dlrun.runs.directory import CONFIG, METRICS, SWEEP_FILE, RunDir
from dlrun.runs.history import NOT_METRICS, read_curves
from dlrun.runs.locate import find_run
from dlrun.runs.metric_direction import direction
from dlrun.runs.names import short_names
from dlrun.runs.status import current_record
from dlrun.system.files import is_file
from dlrun.system.pictures import check_plot, save_plot

log = logging.getLogger("dlrun")

# The keys of a record that hold the result; the others say how the run was made.
RESULT = (
    "status", "error", "stopped_by", "epochs", "best_epoch", "parameters",
    "train", "validation", "test", "seconds", "examples_per_second", "peak_memory_bytes",
    "device_memory_bytes",
)  # fmt: skip
ENVIRONMENT = ("versions", "device", "host", "cores", "git", "data_fingerprint", "init_from")
SPLITS = ("train", "validation", "test")


def compare(
    names: Sequence[str],
    *,
    runs_dir: Path,
    plot: Path | None = None,
    by: str = "epoch",
    all_rows: bool = False,
) -> dict[str, Any]:
    """Compare two or more runs.

    Args:
        names: Paths, names or ``latest``.
        runs_dir: Where to look for names.
        plot: Where to plot their curves; None for no plot.
        by: What the plot has along its axis, one of :data:`dlrun.runs.history.PLACES`.
        all_rows: Also return equal values.

    Returns:
        ``runs``; ``config``, ``result`` and ``environment``, each a list of values by key, in the
        order of the runs, None where a run lacks the value; and ``best``, by metric with a known
        direction the indices of the runs that have the best value.

    Raises:
        DlrunError: If there are fewer than two different runs, one can't be read, or no run has a
            curve to plot.
    """
    if plot is not None:
        check_plot(plot)
    opened = [find_run(name, runs_dir) for name in names]
    if len({run.path.resolve() for run in opened}) < max(len(opened), 2):
        sweep = opened[0].path.parent
        is_of_sweep = is_file(sweep / SWEEP_FILE)
        raise DlrunError(
            "expected at least two different runs",
            hint=f"its sweep: dlrun compare {shlex.quote(str(sweep))}"
            if is_of_sweep
            else "list the runs with 'dlrun runs'",
        )
    records = [current_record(run) for run in opened]
    configs = [read_config(run.path / CONFIG) for run in opened]
    columns = {
        "config": [dict(query.flat(config)) for config in configs],
        "result": [_select(record, RESULT) for record in records],
        "environment": [_select(record, ENVIRONMENT) for record in records],
    }
    tables = {name: _rows(values, all_rows) for name, values in columns.items()}
    shown = short_names([run.path for run in opened])
    if plot is not None:
        _draw(plot, opened, shown, records, by)
    return {
        "runs": [
            {"run": name, "run_dir": str(run.path)} for name, run in zip(shown, opened, strict=True)
        ],
        **tables,
        "best": {key: best for key, row in tables["result"].items() if (best := _best(key, row))},
    }


def _select(record: query.Record, keys: Sequence[str]) -> dict[str, Any]:
    return dict(query.flat({key: record[key] for key in keys if key in record}))


def _rows(columns: Sequence[Mapping[str, Any]], all_rows: bool) -> dict[str, list[Any]]:
    keys = dict.fromkeys(key for column in columns for key in column)
    rows = {key: [column.get(key) for column in columns] for key in keys}
    return {key: row for key, row in rows.items() if all_rows or any(v != row[0] for v in row)}


def _best(key: str, row: Sequence[Any]) -> list[int]:
    """The indices of a metric's best values; none if its direction is unknown or all are equal."""
    split, _, name = key.partition(".")
    numbers = {index: query.number(value) for index, value in enumerate(row)}
    values = {i: n for i, n in numbers.items() if n is not None and math.isfinite(n)}
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
    by: str,
) -> None:
    from dlrun.report.compare import draw

    read = [read_curves(run.path, by) for run in opened]
    curves = [{name: run[name] for name in run if name not in NOT_METRICS} for run in read]
    for name, curve, run in zip(names, curves, opened, strict=True):
        if not curve:
            is_there = is_file(run.path / METRICS)
            what = f"its {METRICS} has no curve by {by}" if is_there else f"no {METRICS}"
            log.warning("%s has no curves: %s", name, what)
    if not any(curves):
        hint = "train with the callback csv" if by == "epoch" else "--by epoch, for older runs"
        raise DlrunError("--plot: none of the runs has a curve", hint=hint)
    overrides = _differing_overrides(records)
    labels = [f"{name}  {typed}".rstrip() for name, typed in zip(names, overrides, strict=True)]
    save_plot(draw(labels, curves, by), plot)


def _differing_overrides(records: Sequence[query.Record]) -> list[str]:
    """Each run's overrides that the runs do not all share."""
    recorded = [record.get("overrides") for record in records]
    lists = [[str(o) for o in typed] if isinstance(typed, list) else [] for typed in recorded]
    return [" ".join(o for o in run if any(o not in other for other in lists)) for run in lists]
