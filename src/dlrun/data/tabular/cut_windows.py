"""Cut time series into windows: views of their rows where that is possible."""

from __future__ import annotations

import json
import logging
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlrun.data.cache import cache_entry, key_of
from dlrun.data.dataset import Dataset, Split
from dlrun.data.preprocessing.windows import Windows
from dlrun.data.splits import SPLITS, TRAIN, VALIDATION
from dlrun.data.tabular.column_values import WrongValueError
from dlrun.data.tabular.columns import correct, require_saved
from dlrun.data.tabular.encode import ENCODING, FITTED, load_array
from dlrun.data.tabular.series import Series, without_window_note
from dlrun.data.tabular.window_arrays import AT_ONCE, window_views, write_windows
from dlrun.data.tabular.write_rows import ArrayFile
from dlrun.data.targets import Target
from dlrun.errors import DlrunError

if TYPE_CHECKING:
    from dlrun.data.input_spec import InputSpec
    from dlrun.data.timeseries import TimeSeries

log = logging.getLogger("dlrun")

ROWS, TARGETS = "rows.npy", "targets.npy"


def runs(of: TimeSeries, arranged: Series, splits: np.ndarray) -> dict[int, list[tuple[int, int]]]:
    """See :meth:`dlrun.data.timeseries.TimeSeries.runs`."""
    changes = np.flatnonzero(np.diff(splits.astype(np.int8))) + 1
    starts = np.union1d(arranged.starts[:-1], changes)
    lengths = np.diff(np.append(starts, len(splits)))
    needed = of.history + of.horizon
    found: dict[int, list[tuple[int, int]]] = {code: [] for code in SPLITS.values()}
    for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
        if length >= needed:
            found[int(splits[start])].append((start, (length - needed) // of.stride + 1))
    for name, code in SPLITS.items():
        if found[code] or (code == VALIDATION and not of.table.split_options.validation):
            continue
        longest = int(lengths[splits[starts] == code].max(initial=0))
        of_rows = int(np.diff(arranged.starts).max())
        other = "smaller data.validation and data.test" if code == TRAIN else f"larger data.{name}"
        raise DlrunError(
            f"data.history={of.history} and data.horizon={of.horizon} take {needed:,} rows; the"
            f" {name} split has at most {longest:,} one after the other, of {of_rows:,}",
            hint=f"a smaller data.history, or a {other}",
        )
    return found


def dataset(of: TimeSeries, saved: InputSpec | None) -> Dataset:
    """The windows as arrays, from the cache if they are in it.

    Args:
        of: The series.
        saved: As in :class:`dlrun.data.source.Source`.

    Raises:
        DlrunError: If the rows are not time series, or not those of the run; or if the windows of
            several series take more than the cache may hold.
    """
    step = _read_saved(of, saved) if saved else None
    make = partial(_make, of, step=step)
    entry = cache_entry(_key(of, "windows", step), make, limit_bytes=of.table.cache_bytes)
    state = json.loads((entry / FITTED).read_text(encoding="utf-8"))
    step = Windows.from_state(state["step"])
    train, validation, test = (_load(of, entry, name, step, state["runs"][name]) for name in SPLITS)
    for note in state["notes"]:
        log.info("data   %s", note)
    for name, split in (("validation", validation), ("test", test)):
        if len(split):
            error = _naive_error(split, step)
            text = "data   %s: repeating the last value has a mean absolute error of %.4g"
            log.info(text, name, error)
    return Dataset(
        train,
        validation,
        test,
        num_classes=step.horizon * step.targets,
        preprocessing=(step,),
        targets=_target(step),
    )


def check(of: TimeSeries) -> None:
    """Check the rows before a framework is imported; noted in the cache, so that it is done once.

    Raises:
        DlrunError: As :func:`dataset`.
    """

    def make(directory: Path) -> None:
        splits = of.splits(of.arranged)
        runs(of, of.arranged, splits)
        _fit(of, of.arranged, splits == TRAIN)

    cache_entry(_key(of, "checked", None), make, limit_bytes=of.table.cache_bytes)


def _key(of: TimeSeries, kind: str, step: Windows | None) -> str:
    return key_of(
        kind,
        ENCODING,
        of.table.entry.name,
        [of.history, of.horizon, of.stride, of.limit, *of.table.targets],
        vars(step.options if step else of.options),
        vars(of.table.split_options),
        step.state() if step else None,
    )


def _target(step: Windows) -> Target:
    """The rows after a window, one after the other: those of the first step, then of the second."""
    names = step.options.columns[: step.targets]
    return Target(
        "regression",
        tuple(f"{name}+{ahead}" for ahead in range(1, step.horizon + 1) for name in names),
        mean=step.mean[: step.targets] * step.horizon,
        deviation=step.deviation[: step.targets] * step.horizon,
    )


def _read_saved(of: TimeSeries, saved: InputSpec) -> Windows:
    """The run's step.

    Raises:
        DlrunError: If the run was trained on other data, or with windows of another size.
    """
    step = saved.step(Windows)
    if step is None:
        raise DlrunError(
            "data: the run was not trained on time series", hint="choose data of the run's own kind"
        )
    for name in ("history", "horizon"):
        if (size := getattr(of, name)) != (expected := getattr(step, name)):
            raise DlrunError(
                f"data.{name}={size}: the run was trained with {expected}",
                hint=f"data.{name}={expected}",
            )
    require_saved(of.table, step.names)
    return step


def _fit(of: TimeSeries, arranged: Series, train: np.ndarray) -> Windows:
    """Measure the training rows."""
    values = arranged.values[train]
    with np.errstate(over="ignore", invalid="ignore"):
        mean, deviation = values.mean(axis=0), values.std(axis=0)
    if not (finite := np.isfinite(deviation)).all():
        column = int(finite.argmin())
        raise DlrunError(
            f"data: {of.table.path}: column '{of.options.columns[column]}' has numbers as large as"
            f" {np.abs(values[:, column]).max():g}",
            hint="write them in another unit, or as their logarithm",
        )
    constant = values.min(axis=0) == values.max(axis=0)  # whose mean may be off by a rounding
    mean[constant], deviation[constant] = values[0, constant], 1
    if (still := constant[: len(of.table.targets)]).any():
        column = int(still.argmax())
        raise DlrunError(
            f"data.target={of.table.targets[column]}: is {mean[column]:g} in every row of the"
            " training split",
            hint="choose a column that varies",
        )
    return Windows(
        of.options,
        of.history,
        of.horizon,
        len(of.table.targets),
        tuple(mean.tolist()),
        tuple(deviation.tolist()),
    )


def _make(of: TimeSeries, directory: Path, *, step: Windows | None) -> None:
    """Write rows, and where one split has windows of several parts, the windows themselves."""
    arranged = of.arrange(step.options) if step else of.arranged
    splits = of.splits(arranged)
    found = runs(of, arranged, splits)
    step = step or _fit(of, arranged, splits == TRAIN)
    try:
        rows = step.standardize(arranged.values, arranged.rows)
    except WrongValueError as error:
        hint = correct(of.table, error.value)
        raise DlrunError(f"data: {of.table.path}: {error}", hint=hint) from error
    targets = np.ascontiguousarray(rows[:, : step.targets])
    parts: dict[str, list[tuple[int, int]]] = {}
    for name, code in SPLITS.items():
        parts[name] = _first(found[code], of.limit)
    are_views = all(len(part) <= 1 for part in parts.values())
    if are_views:
        for name, array in ((ROWS, rows), (TARGETS, targets)):
            with (directory / name).open("wb") as file:
                ArrayFile(file, len(array), array).write(array)
    else:
        _require_room(of, step, parts)
        for name, part in parts.items():
            write_windows(directory, name, part, rows, targets, step, of.stride)
    state = {
        "step": step.state(),
        "runs": parts if are_views else dict.fromkeys(parts),
        "notes": without_window_note(arranged, of.history + of.horizon),
    }
    (directory / FITTED).write_text(json.dumps(state), encoding="utf-8")


def _first(part: list[tuple[int, int]], limit: int | None) -> list[tuple[int, int]]:
    """The first windows."""
    if limit is None:
        return part
    kept = []
    for start, windows in part:
        if limit > 0:
            kept.append((start, min(windows, limit)))
        limit -= windows
    return kept


def _require_room(of: TimeSeries, step: Windows, parts: dict[str, list[tuple[int, int]]]) -> None:
    windows = sum(count for part in parts.values() for _, count in part)
    values = step.history * len(step.mean) + step.horizon * step.targets
    if (needed := 4 * windows * values) > of.table.cache_bytes:
        raise DlrunError(
            f"data: {windows:,} windows of {len(of.arranged.starts) - 1:,} parts of series take"
            f" {needed / 1e9:.2g} GB, more than data.cache_gb={of.table.cache_bytes / 1e9:g}",
            hint=f"data.stride={of.stride * int(np.ceil(needed / of.table.cache_bytes))}, fewer"
            " data.covariates, or a larger data.cache_gb",
        )


def _load(of: TimeSeries, entry: Path, name: str, step: Windows, runs: Any) -> Split:
    if runs is None:
        inputs, labels = (load_array(entry / f"{name}-{part}.npy") for part in ("inputs", "labels"))
        return Split(inputs, labels)
    [run] = runs or [(0, 0)]
    return Split(
        *window_views(load_array(entry / ROWS), load_array(entry / TARGETS), run, step, of.stride)
    )


def _naive_error(split: Split, step: Windows) -> float:
    """The mean absolute error of repeating the last value, in the target's units."""
    assert isinstance(split.inputs, np.ndarray)
    assert isinstance(split.labels, np.ndarray)
    total = 0.0
    for first in range(0, len(split), AT_ONCE):
        part = slice(first, first + AT_ONCE)
        last = np.tile(split.inputs[part, -1, : step.targets], step.horizon)
        errors = np.abs(split.labels[part].astype(np.float64) - last)
        total += float((errors * _target(step).deviation).sum())
    return total / split.labels.size
