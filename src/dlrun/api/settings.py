"""Runs that differ in their seed or fold alone, as one setting."""

from __future__ import annotations

import gc
import json
import marshal
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlrun.errors import DlrunError
from dlrun.evaluation.repeats import summary
from dlrun.remote.fetch import fetch_listing
from dlrun.remote.places import shown_path, url_for
from dlrun.runs import query
from dlrun.runs.annotations import read_annotations
from dlrun.runs.metric_direction import direction
from dlrun.runs.names import short_names
from dlrun.runs.records import read_records
from dlrun.runs.status import is_locked, start_time, too_deep
from dlrun.system.files import exists

# What repeats a run within its data: generated data have a seed too, which follows that of the run.
OF_DATA = ("fold", "seed")
# Keys that tell no settings apart: the seed, where runs lie, and what is only recorded.
APART = frozenset(("seed", "name", "runs_dir", "tracker", "sweep", "reproduces", "export"))

Record = query.Record


@dataclass
class Setting:
    """Completed runs with one config, apart from what repeats them.

    Args:
        runs: Their records, each with its ``run_dir``.
        name: The short name of the first one.
        differs: The values of the config that the settings do not share, by key.
    """

    runs: list[Record]
    name: str = ""
    differs: dict[str, Any] | None = None

    @property
    def monitor(self) -> tuple[str, str]:
        """The metric that ranks them, and whether ``min`` or ``max`` is better."""
        task = self.runs[0]["config"].get("task") or {}
        return str(task.get("monitor", "val_loss")), str(task.get("mode", "min"))

    def values(self, key: str) -> dict[tuple[Any, ...], float | None]:
        """A metric, such as ``val_loss`` or ``test.accuracy``, by what repeats the runs."""
        return {_repeat(run["config"]): query.number(query.value_of(run, key)) for run in self.runs}

    @property
    def metrics(self) -> list[str]:
        """The metric that ranks them, then those of the test split."""
        test = self.runs[0].get("test")
        return [self.monitor[0], *(f"test.{name}" for name in test or ())]

    def summary(self, key: str) -> dict[str, Any]:
        """As :func:`dlrun.evaluation.repeats.summary`, of a metric."""
        monitor, mode = self.monitor
        better = mode if key == monitor else direction(key.rpartition(".")[2], {})
        return summary([query.number(query.value_of(run, key)) for run in self.runs], better)

    def to_dict(self) -> dict[str, Any]:
        """The setting for JSON."""
        return {
            "run": self.name,
            "n": len(self.runs),
            "differs": self.differs or {},
            "runs": [run["run_dir"] for run in self.runs],
            "monitor": self.monitor[0],
            "metrics": {key: self.summary(key) for key in self.metrics},
        }


def group(records: Sequence[Record]) -> list[Setting]:
    """Group completed runs by their config, apart from what repeats them, in the order given.

    Of runs that do not differ at all, such as those of one seed in two sweeps, the first counts:
    the numbers are the same, and would make an interval too narrow.
    """
    groups: dict[bytes, list[Record]] = defaultdict(list)
    for record in records:
        if record.get("status") == "completed" and isinstance(record.get("config"), dict):
            groups[_key(record["config"])].append(record)
    groups = {key: runs for key, runs in groups.items() if not too_deep(runs[0])}
    settings = [Setting(_first_of_each(runs)) for runs in groups.values()]
    names = short_names([Path(setting.runs[0]["run_dir"]) for setting in settings], parts=2)
    flats = [dict(query.flat(_without(setting.runs[0]["config"]))) for setting in settings]
    keys = dict.fromkeys(key for flat in flats for key in flat)
    varying = [key for key in keys if len({_text(flat.get(key)) for flat in flats}) > 1]
    for setting, name, flat in zip(settings, names, flats, strict=True):
        setting.name = name
        setting.differs = {key: flat[key] for key in varying if key in flat}
    return settings


def group_runs(
    folder: Path,
    *,
    where: Sequence[str] = (),
    sort: str = "started",
    reverse: bool = False,
    limit: int | None = None,
) -> list[Setting]:
    """The settings of the completed runs in a folder.

    Args:
        folder: At any depth of it.
        where: As for :func:`dlrun.api.list_runs.list_runs`, of the runs.
        sort: ``started`` for the newest first, or a metric for the best mean first.
        reverse: Reverse the order.
        limit: Return at most this many.

    Raises:
        DlrunError: If the folder can't be read, or no run has a key of ``where`` or ``sort``.
    """
    conditions = [query.parse(condition) for condition in where]
    here = fetch_listing(folder, is_locked)
    missing = not exists(here) and (folder == Path("runs") or here != folder)
    notes = any(condition.key in ("tag", "tags", "note") for condition in conditions)
    is_remote = url_for(here) is not None  # asked once
    collects = gc.isenabled()
    gc.disable()  # nothing of what is read is garbage: a third of the time
    try:
        runs = [] if missing else read_records(here)
        records = [
            record
            | {"run_dir": shown_path(Path(run)) if is_remote else run}
            | (_notes(Path(run)) if notes else {})
            for run, record in runs
            if record is not None
            and record["status"] == "completed"
            and isinstance(record.get("config"), dict)
        ]
        records.sort(key=lambda record: (start_time(record), record["run_dir"]), reverse=True)
        settings = group(query.select(records, conditions))
    finally:
        if collects:
            gc.enable()
    if sort != "started":
        query.require_key(records, sort, "--sort")
        settings.sort(key=lambda setting: _rank(setting, sort), reverse=reverse)
        settings.sort(key=lambda setting: _rank(setting, sort)[0])  # without a number: always last
    elif reverse:
        settings.reverse()
    return settings[:limit]


def _notes(run: Path) -> dict[str, Any]:
    return {name: value for name, value in read_annotations(run).items() if value}


def _key(config: Mapping[str, Any]) -> bytes:
    try:
        return marshal.dumps(_without(config), 2)  # ten times as fast as JSON
    except ValueError as error:
        raise DlrunError(f"a run's config can't be compared: {error}") from error


def _without(config: Mapping[str, Any]) -> dict[str, Any]:
    found = {key: value for key, value in config.items() if key not in APART}
    data = found.get("data")
    if isinstance(data, dict) and any(key in data for key in OF_DATA):
        found["data"] = {key: data[key] for key in data if key not in OF_DATA}
    return found


def _first_of_each(runs: Sequence[Record]) -> list[Record]:
    """The runs without those that repeat an earlier one exactly."""
    found: dict[tuple[Any, ...], Record] = {}
    for run in runs:
        found.setdefault(_repeat(run["config"]), run)
    return list(found.values())


def _repeat(config: Mapping[str, Any]) -> tuple[Any, ...]:
    """What tells the runs of one setting apart."""
    data = config.get("data")
    values = [data.get(key) if isinstance(data, dict) else None for key in OF_DATA]
    return (config.get("seed"), *values)


def _rank(setting: Setting, key: str) -> tuple[bool, float, str]:
    monitor, mode = setting.monitor
    values = setting.values(key).values()
    numbers = [value for value in values if value is not None and math.isfinite(value)]
    if not numbers:
        return True, 0.0, query.text(query.value_of(setting.runs[0], key))
    better = mode if key == monitor else direction(key.rpartition(".")[2], {})
    return False, (-1 if better == "max" else 1) * sum(numbers) / len(numbers), ""


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)
