"""What a page shows of a sweep, as it was read from the sweep's directory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from dlrun.errors import DlrunError
from dlrun.report.page.formats import short_keys
from dlrun.report.page.reading import list_at, mapping_at, number_at, read_mapping, text_at
from dlrun.report.page.run_view import Curves
from dlrun.report.tables import brief
from dlrun.runs.directory import RECORD, SWEEP_FILE
from dlrun.runs.history import read_curves
from dlrun.runs.result import FIELDS
from dlrun.runs.resumed import resumed_with
from dlrun.runs.status import too_deep
from dlrun.system.override_text import split_override

MOST_RUNS = 5000
# Keys whose values repeat a run rather than change it.
REPEATS = ("data.fold", "seed")


@dataclass(frozen=True)
class SweepRun:
    """One run of a sweep.

    Args:
        name: Its directory in that of the sweep.
        record: Its entry in ``sweep.json``.
        differs: The values that distinguish it, by key.
        value: The monitored metric in its best epoch; None where it is not finite, or not yet.
        curves: As in :class:`dlrun.report.page.run_view.RunView`.
        resumed: The overrides that it was resumed with, beside the sweep.
    """

    name: str
    record: Mapping[str, Any]
    differs: Mapping[str, str]
    value: float | None
    curves: Curves
    resumed: Sequence[str] = ()

    @property
    def status(self) -> str:
        """Its state; ``pruned`` if a search has stopped it."""
        if text_at(self.record, "stopped_by") == "pruning":
            return "pruned"
        return text_at(self.record, "status")

    @property
    def label(self) -> str:
        """Its name and what distinguishes it."""
        short = short_keys(list(self.differs))
        typed = [f"{short[key]}={brief(value)}" for key, value in self.differs.items()]
        values = ", ".join([*typed, *map(brief, self.resumed)])
        return f"run {self.name}: {values}" if values else f"run {self.name}"


@dataclass(frozen=True)
class SweepView:
    """A sweep.

    Args:
        path: Its directory, as the user names it.
        name: Its short name.
        record: Its ``sweep.json``.
        keys: The keys that differ between the runs.
        monitor: The metric that ranks them.
        mode: ``min`` or ``max``.
        runs: All runs, the best first; those without a value last.
        first: The ``run.json`` of one run, for what all share.
        along: As in :class:`dlrun.report.page.run_view.RunView`, for the curves of the runs.
    """

    path: Path
    name: str
    record: Mapping[str, Any]
    keys: Sequence[str]
    monitor: str
    mode: str
    runs: Sequence[SweepRun]
    first: Mapping[str, Any]
    along: str = "epoch"

    @property
    def ranked(self) -> Sequence[SweepRun]:
        """The runs that have a value, the best first."""
        return [run for run in self.runs if run.value is not None]

    @property
    def planned(self) -> Sequence[SweepRun]:
        """The ranked runs without those that were resumed with other settings."""
        return [run for run in self.ranked if not run.resumed]

    @property
    def tests(self) -> list[str]:
        """The metrics of the test split."""
        return list(dict.fromkeys(n for r in self.runs for n in mapping_at(r.record, "test")))[:12]

    @property
    def on_device(self) -> bool:
        """Whether a run knows what its arrays have taken on a GPU or TPU."""
        return any(number_at(run.record, "device_memory_bytes") is not None for run in self.runs)

    def repeats(self) -> tuple[list[str], list[tuple[dict[str, str], list[SweepRun]]]]:
        """The runs that differ in their seed or fold alone, the best mean first.

        Returns:
            The keys that repeat; and for each group what its runs share, and the runs. None if no
            key repeats a run.
        """
        over = [key for key in self.keys if key in REPEATS]
        groups: dict[tuple[tuple[str, str], ...], list[SweepRun]] = defaultdict(list)
        # A setting that a search has drawn twice is there once: an equal run is as good as a copy.
        for run in {tuple(run.differs.items()): run for run in self.planned}.values():
            groups[tuple((k, v) for k, v in run.differs.items() if k not in over)].append(run)
        several = [(dict(shared), runs) for shared, runs in groups.items() if len(runs) > 1]
        if not over or not several:
            return [], []
        sign = -1 if self.mode == "max" else 1
        several.sort(key=lambda group: sign * moments([run.value for run in group[1]])[0])
        return over, several


def moments(values: Sequence[float | None]) -> tuple[float, float]:
    """The mean and the sample's standard deviation of the values that there are."""
    numbers = [value for value in values if value is not None]
    return fmean(numbers), stdev(numbers) if len(numbers) > 1 else 0.0


def read_sweep(path: Path, name: str, by: str = "epoch") -> SweepView:
    """Read what a page needs of a sweep; what is damaged in a run is left out.

    Raises:
        DlrunError: If its record names no runs.
    """
    record = read_mapping(path / SWEEP_FILE)
    entries = [e for e in list_at(record, "runs") if isinstance(e, Mapping)][:MOST_RUNS]
    if not entries or too_deep(record):
        raise DlrunError(f"{path / SWEEP_FILE} is not the record of a sweep")
    monitor, mode = text_at(record, "monitor"), text_at(record, "mode")
    found = (_read_run(path, entry, monitor, by) for entry in entries)
    runs = [run for run in found if run is not None]
    sign = -1 if mode == "max" else 1
    runs.sort(key=lambda run: (run.value is None, sign * (run.value or 0.0)))
    keys = list(dict.fromkeys(str(key) for key in list_at(record, "keys")))
    first = next((r for run in runs if (r := read_mapping(path / run.name / RECORD))), {})
    first = {} if too_deep(first) else first
    return SweepView(path, name, record, keys, monitor, mode, runs, first, by)


def _read_run(path: Path, entry: Mapping[str, Any], monitor: str, by: str) -> SweepRun | None:
    name = text_at(entry, "run_dir").rpartition("/")[2]
    if not (name.isascii() and name.isdecimal()):
        return None
    split, metric = ("validation" if monitor.startswith("val_") else "train", monitor)
    # The sweep has recorded what it was before.
    record = {} if entry.get("reused") else read_mapping(path / name / RECORD)
    if resumed := resumed_with(record):
        entry = {**entry, **{key: record[key] for key in FIELDS if key in record}}
    value = number_at(entry, split, metric.removeprefix("val_"))
    differs = {str(key): str(of) for key, of in mapping_at(entry, "differs").items()}
    curves = read_curves(path / name, by)
    return SweepRun(name, entry, differs, value, curves, resumed)


def backend_of(run: SweepRun) -> str:
    """The backend of a run; that of its overrides until it has ended."""
    typed = dict(split_override(str(o)) for o in list_at(run.record, "overrides"))
    return text_at(run.record, "backend") or str(typed.get("backend") or "")
