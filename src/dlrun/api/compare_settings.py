"""``dlrun compare --repeats``: whether settings differ by more than their seeds or folds do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlrun.api.settings import Setting, group
from dlrun.errors import DlrunError, counted
from dlrun.evaluation.repeats import difference
from dlrun.remote.places import shown_path
from dlrun.runs.directory import RECORD, SWEEP_FILE
from dlrun.runs.locate import find_run, find_sweep, iter_runs
from dlrun.system.files import is_file, read_json


def compare_settings(names: Sequence[str], *, runs_dir: Path) -> dict[str, Any]:
    """Group runs into settings, and test each setting against the best.

    Args:
        names: Runs, and sweeps of which all completed runs are taken.
        runs_dir: Where to look for names.

    Returns:
        ``settings``, the best mean first, as from :meth:`Setting.to_dict`; and ``differences``, for
        each other setting and metric, as from :func:`dlrun.evaluation.repeats.difference`, with
        ``metric`` and the numbers ``one``, of the best, and ``other``.

    Raises:
        DlrunError: If one can't be read, or there are fewer than two settings, or no setting has
            two runs.
    """
    paths: dict[Path, None] = {}
    for name in names:
        if (sweep := find_sweep(name, runs_dir)) is not None:
            paths |= dict.fromkeys(_runs_of(sweep))
        else:
            paths[find_run(name, runs_dir).path] = None
    records = [read_json(path / RECORD) | {"run_dir": shown_path(path)} for path in paths]
    settings = group(records)
    if len(settings) < 2 or max(len(setting.runs) for setting in settings) < 2:
        raise DlrunError(
            f"expected two settings of several runs each, got"
            f" {counted(len(settings), 'setting')} in {counted(len(records), 'run')}",
            hint="dlrun sweep model.units=16,64 'seed=range(5)', then 'dlrun compare SWEEP'",
        )
    settings.sort(key=_rank)
    return {
        "settings": [setting.to_dict() for setting in settings],
        "differences": [
            entry
            for number, setting in enumerate(settings[1:], 1)
            for entry in _differences(settings[0], setting, number)
        ],
    }


def _runs_of(sweep: Path) -> list[Path]:
    """The runs in a sweep's directory, and those of earlier sweeps that it has taken."""
    try:
        entries = read_json(sweep / SWEEP_FILE)["runs"]
        reused = [Path(entry["reused"]) for entry in entries if entry.get("reused")]
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        reused = []
    return [*sorted(iter_runs(sweep)), *(path for path in reused if is_file(path / RECORD))]


def _differences(best: Setting, other: Setting, number: int) -> list[dict[str, Any]]:
    found = []
    for metric in best.metrics:
        pair = [_finite(setting, metric) for setting in (best, other)]
        if pair[0] is None or pair[1] is None:
            continue
        tested = difference(pair[0], pair[1])
        if tested is not None:
            found.append({"metric": metric, "one": 0, "other": number, **tested})
    return found


def _finite(setting: Setting, metric: str) -> dict[Any, float] | None:
    values = setting.values(metric)
    known = {key: value for key, value in values.items() if value is not None}
    finite = len(known) == len(values) and all(map(math.isfinite, known.values()))
    return known if finite else None


def _rank(setting: Setting) -> tuple[bool, float]:
    monitor, mode = setting.monitor
    mean = setting.summary(monitor)["mean"]
    return mean is None, 0.0 if mean is None else (-mean if mode == "max" else mean)
