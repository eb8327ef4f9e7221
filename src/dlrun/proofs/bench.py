"""``dlrun bench``: how fast a model trains and predicts on each backend, in each loop."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from dlrun import backends
from dlrun.assembly.require import require
from dlrun.config.compose import compose
from dlrun.config.project import HERE, Project
from dlrun.config.schema import Config
from dlrun.errors import DlrunError
from dlrun.loops import LOOPS
from dlrun.proofs.batch_size_search import SizeSettings, check_sizes
from dlrun.proofs.bench_batches import add_batch_sizes
from dlrun.proofs.bench_process import load_note, measure_steps
from dlrun.report.bench import member_line, recommendation
from dlrun.system.override_text import split_override
from dlrun.training.speeds import keep_speeds

log = logging.getLogger("dlrun")

SIZES = (1, 8, 64)  # samples of a prediction, and the config's batch size
TRAIN_SECONDS = (0.3, 4.0)  # of steps after the first, at least and at most
MEMBERS_SHARE = 0.75  # of the budget; the rest tries other settings of the fastest
BEFORE_BATCHES_SHARE = 0.4  # of the budget, where the rest tries batch sizes
BUDGET, BATCH_BUDGET = 110.0, 300.0  # seconds, without and with batch sizes
GUARANTEED = 0.7  # of an equal share, which a slow member leaves to each of the others
TUNING_SECONDS = 8.0  # below which that is not begun
STEPS_PER_EXECUTION = (8, 32)
NO_TIME = re.compile(r"no (answer|second step|time)\b")  # how an error begins


class Settings(NamedTuple):
    """How to measure.

    Args:
        budget: Seconds for everything; None for :data:`BUDGET` or :data:`BATCH_BUDGET`.
        chosen: Backends; empty for all that are installed and train.
        loops: Loops; empty for fit, train_step and raw.
        project: The user's own options, and what is trusted.
        batch: Whether to try batch sizes, in place of other settings: of each backend's fastest
            loop, or of all loops that are chosen.
        memory_limit: What a process may take while batch sizes are tried, in GB; None for a share
            of what is available.
    """

    budget: float | None = None
    chosen: Sequence[str] = ()
    loops: Sequence[str] = ()
    project: Project = HERE
    batch: bool = False
    memory_limit: float | None = None

    @property
    def seconds(self) -> float:
        """For everything."""
        return self.budget or (BATCH_BUDGET if self.batch else BUDGET)

    @property
    def sizes(self) -> SizeSettings:
        """How to try batch sizes."""
        return SizeSettings(memory_limit=self.memory_limit, project=self.project)


def bench(overrides: Sequence[str], settings: Settings) -> dict[str, Any]:
    """Measure each backend and loop, one after the other, each in a process of its own.

    Args:
        overrides: As typed after ``dlrun bench``. A backend or a loop among them is the only one.
        settings: How to measure.

    Returns:
        The result, as ``dlrun bench --json`` prints it.

    Raises:
        DlrunError: If the config is wrong, or nothing could be measured.
    """
    began, note = time.monotonic(), load_note()
    members, typed = _members(overrides, settings)
    config = _compose([*typed, *_words(members[0])], settings)
    if settings.batch:
        check_sizes(config, settings.sizes)
    names = list(dict.fromkeys(name for name, _ in members))
    with TemporaryDirectory(prefix="dlrun-bench-") as folder:
        jobs = _Jobs(Path(folder), typed, config, settings, began=began, members=len(members))
        rows = [jobs.measure(*member, left=len(members) - n) for n, member in enumerate(members)]
        rows.sort(key=lambda row: names.index(row["backend"]))
        measured = [row for row in rows if row["step_seconds"]]
        if settings.batch:
            add_batch_sizes(
                rows,
                typed,
                settings.sizes,
                batch_size=config.batch_size,
                every_loop=bool(settings.loops) or "loop" in map(_key, overrides),
                end=began + settings.seconds,
            )
        else:
            for row in sorted(measured, key=lambda row: float(row["step_seconds"])):
                jobs.tune(row)
    devices = [row["device"] for row in measured]
    devices += [row["batch"]["device"] for row in rows if row.get("batch", {}).get("use")]
    if not devices:
        reasons = "; ".join(f"{row['backend']} {row['loop']}: {row['error']}" for row in rows)
        hint = next(iter(jobs.hints), None)
        if any(NO_TIME.match(row["error"]) for row in rows):
            hint = f"give it more time, as by --budget {settings.seconds * 3:.0f}"
        raise DlrunError(f"nothing was measured: {reasons}", hint=hint, exit_code=1)
    kept = keep_speeds(config, rows)
    return {
        "model": config.choices.get("model"),
        "data": config.choices.get("data"),
        "batch_size": config.batch_size,
        "precision": config.precision,
        "device": devices[0],
        "overrides": list(overrides),
        "rows": rows,
        **recommendation(rows),
        "note": note,
        "seconds": round(time.monotonic() - began, 1),
        "kept": None if kept is None else str(kept),
    }


def _members(
    overrides: Sequence[str], settings: Settings
) -> tuple[list[tuple[str, str]], list[str]]:
    """The pairs of backend and loop, and the other overrides."""
    names, loops, typed = list(settings.chosen), list(settings.loops), []
    asked: list[str] = []
    for override in overrides:
        key, value = split_override(override)
        if key not in ("backend", "loop") or not value:
            typed.append(override)
            continue
        several = value.split(",")
        asked += [f"{key}={name}" for name in several if len(several) > 1]
        if key == "backend":
            names = names or several
        else:
            loops = loops or several
    for one in asked:  # a wrong one is refused before the others are measured
        compose([*typed, one], project=settings.project)
    trainable = [name for name in backends.installed_backends() if backends.module(name).TRAINS]
    names = names or trainable
    if not names:
        raise DlrunError("no backend is installed that trains", hint="pip install 'dlrun[jax]'")
    # Each backend's first loop before any other's second one, should the time not suffice.
    return [(name, loop) for loop in loops or LOOPS for name in names], typed


def _key(override: str) -> str:
    return split_override(override)[0]


def _words(member: tuple[str, str]) -> list[str]:
    return [f"backend={member[0]}", f"loop={member[1]}"]


def _compose(overrides: Sequence[str], settings: Settings) -> Config:
    config = compose(overrides, project=settings.project)
    require(config, training=True)
    return config


def limit_of(share: float, left: int, equal: float, seconds: float) -> float:
    """How many seconds a member may take.

    Args:
        share: Of it, of the time that is still for the members; negative if there is none.
        left: The members that are still to be measured, with it.
        equal: The share of each member at the beginning.
        seconds: Until everything ends.
    """
    guaranteed = GUARANTEED * equal
    return min(max(2.5 * share, guaranteed), seconds - (left - 1) * guaranteed)


class _Jobs:
    """The processes, one at a time, within the budget."""

    def __init__(
        self,
        folder: Path,
        typed: Sequence[str],
        config: Config,
        settings: Settings,
        *,
        began: float,
        members: int,
    ) -> None:
        self._folder = folder
        self._typed = typed
        self._settings = settings
        self._sizes = sorted({*SIZES, config.batch_size})
        self._end = began + settings.seconds
        for_members = settings.seconds * (BEFORE_BATCHES_SHARE if settings.batch else MEMBERS_SHARE)
        self._members_end = began + for_members
        self._share = for_members / members
        self.hints: list[str] = []
        """Of what could not be measured."""

    def measure(self, backend: str, loop: str, *, left: int) -> dict[str, Any]:
        """The row of a backend and loop, of which ``left`` are still to be measured."""
        row: dict[str, Any] = {"backend": backend, "loop": loop, "error": None}
        share = (self._members_end - time.monotonic()) / left
        try:
            low, high = TRAIN_SECONDS
            # Most of a share is the start. What one does not need, the others get.
            seconds = min(high, max(low, share / 6))
            end = self._members_end if self._settings.batch else self._end
            limit = limit_of(share, left, self._share, end - time.monotonic())
            answer = self._run(row, seconds, self._sizes, [], limit)
        except DlrunError as error:
            answer = {}
            row["error"] = error.message
            self.hints += [error.hint] if error.hint else []
        for name in (
            "device", "start_seconds", "first_step_seconds", "step_seconds", "step_spread",
            "examples_per_second", "peak_memory_bytes", "device_memory_bytes", "train_samples",
            "latency_seconds",
        ):  # fmt: skip
            row[name] = answer.get(name)
        if not row["step_seconds"] and not row["error"]:
            row["error"] = f"no second step in {limit:.0f} s"
        log.info("%s", member_line(row))
        return row

    def tune(self, row: dict[str, Any]) -> None:
        """Try other settings of a loop while there is time, and add the best to its row."""
        left = self._end - time.monotonic()
        if left < TUNING_SECONDS:
            return
        variants = list(_variants(row["backend"], row["loop"], row["device"]))
        log.info("tune   %s %s: %d settings", row["backend"], row["loop"], len(variants))
        try:
            answer = self._run(row, min(1.0, left / 12), [], variants, left)
        except DlrunError:
            return
        tried = [v for v in answer.get("variants") or [] if v["step_seconds"]]
        if not answer.get("step_seconds"):
            return
        # As measured in that process: other times are another process's.
        best = min(
            [{"overrides": [], "step_seconds": answer["step_seconds"]}, *tried],
            key=lambda one: float(one["step_seconds"]),
        )
        row["tuned"] = {
            "best": best["overrides"],
            "gain": round(answer["step_seconds"] / best["step_seconds"], 3),
            "tried": tried,
        }

    def _run(
        self,
        row: Mapping[str, Any],
        seconds: float,
        sizes: Sequence[int],
        variants: Sequence[Sequence[str]],
        limit: float,
    ) -> dict[str, Any]:
        if limit <= 1:
            raise DlrunError("no time was left", exit_code=1)
        return measure_steps(
            [*self._typed, *_words((row["backend"], row["loop"]))],
            folder=self._folder,
            name=f"{row['backend']}-{row['loop']}-{len(variants)}",
            seconds=seconds,
            limit=limit,
            sizes=sizes,
            variants=variants,
            project=self._settings.project,
        )


def _variants(backend: str, loop: str, device: str) -> Iterator[list[str]]:
    """Other settings of ``loop.compile`` and of the steps for each compiled call."""
    if loop == "raw":
        yield from ([f"loop.steps_per_execution={n}"] for n in STEPS_PER_EXECUTION)
        module = backends.training_module(backend)
        left_out = {"auto", "eager", *(() if device.startswith("gpu") else module.ON_GPU)}
        yield from ([f"loop.compile={c}"] for c in module.COMPILES if c not in left_out)
        return
    yield from ([f"loop.steps_per_execution={n}"] for n in STEPS_PER_EXECUTION)
    yield ["loop.jit_compile=true"]
    if backend == "jax":  # without, it runs each operation by itself
        return
    yield ["loop.jit_compile=false"]
