"""Search the largest batch that fits, and the fastest one."""

from __future__ import annotations

import logging
import math
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from dlrun.config.project import HERE, Project
from dlrun.config.schema import Config
from dlrun.errors import DlrunError, RunInterrupted
from dlrun.proofs.bench_process import measure_steps
from dlrun.proofs.memory_guard import MemoryGuard
from dlrun.report.batch_sizes import conclusion, size_line
from dlrun.system import signals
from dlrun.system.override_text import split_override

log = logging.getLogger("dlrun")

METHODS = ("power", "binary")
SMALLEST = 16
TRAIN_SECONDS = (0.3, 1.0)  # of each size, at least and at most
SIZES = 12  # that the budget is divided by
FINE = 32  # a binary search ends when the bounds are closer than this part of the size
NO_MEMORY = re.compile(
    r"out of memory|OutOfMemory|RESOURCE_EXHAUSTED|ResourceExhausted|MemoryError|bad_alloc"
    r"|can't allocate|cannot allocate|failed to allocate|OOM when|SIGKILL",
    re.IGNORECASE,
)
FIGURES = (
    "step_seconds", "step_spread", "examples_per_second", "first_step_seconds",
    "peak_memory_bytes", "device_memory_bytes",
)  # fmt: skip


class SizeSettings(NamedTuple):
    """What to try.

    Args:
        minimum: The first batch size.
        maximum: The largest one to try; None for no other limit than memory and data.
        method: ``power`` doubles; ``binary`` then halves the gap to the first that does not fit.
        memory_limit: What a process may take, in GB; None for a share of what is available.
        budget: Seconds for everything.
        project: The user's own options, and what is trusted.
    """

    minimum: int = SMALLEST
    maximum: int | None = None
    method: str = "power"
    memory_limit: float | None = None
    budget: float = 110.0
    project: Project = HERE


def check_sizes(config: Config, settings: SizeSettings) -> None:
    """Check what to try, and that the config trains on one device.

    Raises:
        DlrunError: If a setting is wrong, or the run is spread over devices.
    """
    if settings.minimum < 1 or (settings.maximum or settings.minimum) < settings.minimum:
        most = "" if settings.maximum is None else f" --max {settings.maximum}"
        raise DlrunError(
            f"--min {settings.minimum}{most}: expected batch sizes from 1, the second not smaller",
            hint="--min 16 --max 1024",
        )
    limit = settings.memory_limit
    if limit is not None and not (limit > 0 and math.isfinite(limit)):
        raise DlrunError(f"--memory-limit {limit:g}: expected a number of GB above 0")
    if not (settings.budget > 0 and math.isfinite(settings.budget)):
        raise DlrunError(f"--budget {settings.budget:g}: expected a number of seconds above 0")
    if config.distribution.kind != "none":
        raise DlrunError(
            f"distribution={config.distribution.kind}: batch sizes are tuned on one device",
            hint="leave out distribution and device.count, and multiply what fits by the devices",
        )


def without_batch_size(overrides: Sequence[str]) -> list[str]:
    """The overrides without that of the batch size."""
    return [text for text in overrides if split_override(text)[0] != "batch_size"]


def search_sizes(
    typed: Sequence[str], settings: SizeSettings, measured: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Measure one batch size after the other, each in a process of its own.

    A size fits if some steps complete within the memory that is available, it is not above
    ``maximum``, and the training set has as many samples.

    Args:
        typed: Overrides of a config that trains, without the batch size.
        settings: What to try, as :func:`check_sizes` accepts it.
        measured: What :mod:`dlrun.proofs.bench_steps` has told of ``minimum``, which is then not
            measured again.

    Returns:
        ``device``; ``rows`` by size, each with what was measured, whether it ``fits``, or the
        ``error``; what bounds them; and their :func:`dlrun.report.batch_sizes.conclusion`.

    Raises:
        DlrunError: If no size fits.
        RunInterrupted: If a signal stopped it; no process is left.
    """
    limit = None if settings.memory_limit is None else int(settings.memory_limit * 1e9)
    with TemporaryDirectory(prefix="dlrun-tune-") as folder, signals.record_signals() as received:
        guard = MemoryGuard(received, limit)
        search = _Search(Path(folder), typed, settings, guard, measured)
        try:
            search.run()
        except RunInterrupted:
            log.info("interrupted; no process is left")
            raise
    if not search.fitting():
        reason = search.rows[-1]["error"] if search.rows else "no time was left"
        raise DlrunError(
            f"batch_size={settings.minimum}: {reason}",
            hint="--min 1, a smaller model, or more time as by --budget 300",
            exit_code=1,
        )
    found = search.result()
    return {"device": search.device, **found, **conclusion(found)}


class _Search:
    """The sizes that were measured, and what ended the search."""

    def __init__(
        self,
        folder: Path,
        typed: Sequence[str],
        settings: SizeSettings,
        guard: MemoryGuard,
        measured: Mapping[str, Any] | None,
    ) -> None:
        self.rows: list[dict[str, Any]] = []
        self.device: str | None = None
        self._folder, self._typed, self._settings = folder, typed, settings
        self._guard = guard
        self._known = {} if measured is None else {settings.minimum: measured}
        self._end = time.monotonic() + settings.budget
        self._seconds = min(TRAIN_SECONDS[1], max(TRAIN_SECONDS[0], settings.budget / SIZES / 8))
        self._samples: int | None = None
        self._longest = 0.0
        self._stopped_by = ""

    def fitting(self) -> list[dict[str, Any]]:
        """The rows of the sizes that fit."""
        return [row for row in self.rows if row["fits"]]

    def run(self) -> None:
        """Double until a size does not fit; then halve the gap, if asked to."""
        size = self._settings.minimum
        low = 0
        while self._within(size):
            if not self._fits(size):
                break
            low, size = size, 2 * size
        if self._settings.method == "power" or not low or self._stopped_by == "time":
            return
        high, bound = size, self._bound()
        if self._stopped_by in ("max", "data"):
            if low == bound or not self._fits(bound):
                high = bound
            else:
                return
        while high - low > max(1, low // FINE) and self._has_time():
            middle = (low + high) // 2
            if self._fits(middle):
                low = middle
            else:
                high = middle

    def result(self) -> dict[str, Any]:
        """Rows by size, and what bounds them."""
        return {
            "rows": sorted(self.rows, key=lambda row: int(row["batch_size"])),
            "stopped_by": self._stopped_by,
            "train_samples": self._samples,
            "memory_limit_bytes": self._guard.limit,
            "max": self._settings.maximum,
        }

    def _bound(self) -> int:
        bounds = (self._settings.maximum, self._samples)
        return min(bound for bound in bounds if bound is not None)

    def _within(self, size: int) -> bool:
        """Whether a size is allowed, and there is time; else why not is kept."""
        if self._settings.maximum is not None and size > self._settings.maximum:
            self._stopped_by = "max"
        elif self._samples is not None and size > self._samples:
            self._stopped_by = "data"
        else:
            return self._has_time()
        return False

    def _has_time(self) -> bool:
        if time.monotonic() + self._longest < self._end:
            return True
        self._stopped_by = "time"
        return False

    def _fits(self, size: int) -> bool:
        """Measure a size, unless it can't fit by what the smaller ones took."""
        row: dict[str, Any] = {"batch_size": size, "fits": False, "error": None}
        began = time.monotonic()
        try:
            self._guard.check(size, self.fitting(), self.device)
            answer = self._known.get(size) or self._run(size)
            self.device = answer.get("device")
            self._samples = answer.get("train_samples")
            if self._samples is not None and size > self._samples:
                raise DlrunError(
                    f"--min {size}: the training set has {self._samples:,} samples", hint="--min 1"
                )
            row |= {name: answer.get(name) for name in FIGURES}
            row["fits"] = bool(row["step_seconds"])
            if not row["fits"]:
                self._stopped_by, row["error"] = "time", "no second step in the time that was left"
        except DlrunError as error:
            if not NO_MEMORY.search(error.message) and not self.fitting():
                if time.monotonic() > self._end:
                    raise DlrunError(
                        f"batch_size={size}: no step in the time that was left",
                        hint="more time, as by --budget 300",
                        exit_code=1,
                    ) from error
                raise
            row["error"] = error.message
            self._stopped_by = "memory" if NO_MEMORY.search(error.message) else "error"
        self._longest = max(self._longest, time.monotonic() - began)
        self.rows.append(row)
        log.info("%s", size_line(row))
        return bool(row["fits"])

    def _run(self, size: int) -> dict[str, Any]:
        return measure_steps(
            [*self._typed, f"batch_size={size}"],
            folder=self._folder,
            name=f"batch-{size}",
            seconds=self._seconds,
            limit=max(1.0, self._end - time.monotonic()),
            project=self._settings.project,
            watch=self._guard.watch,
        )
