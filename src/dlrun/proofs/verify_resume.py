"""``dlrun verify-resume``: prove that a run that is killed and resumed loses nothing.

One run trains straight through. Another of the same config is killed with SIGKILL, in an epoch and
while it saves, and resumed each time. Both must come to the same bits.
"""

from __future__ import annotations

import csv
import json
import logging
import random
import re
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlrun.assembly.require import require
from dlrun.config.compose import compose
from dlrun.errors import DlrunError, Interrupted
from dlrun.runs.directory import CHECKPOINTS, METRICS, RECORD, TIME_FORMAT
from dlrun.system import signals
from dlrun.system.child import python_command
from dlrun.training.initial_weights import as_override

log = logging.getLogger("dlrun")

POLL_SECONDS = 0.0005  # a checkpoint is written in some milliseconds
# Of a result and of a table's row, what differs between any two runs.
UNLIKE = ("run_dir", "seconds", "step_seconds", "examples_per_second", "peak_memory_bytes")


@dataclass
class _Moment:
    """When to kill: in an epoch, from 1, or when a checkpoint is written after it has begun."""

    epoch: int
    saving: bool


def verify_resume(
    overrides: Sequence[str],
    *,
    kills: int = 2,
    runs_dir: Path = Path("runs"),
    config_dir: Path | None = None,
    trusted: Sequence[str] = (),
) -> dict[str, Any]:
    """Train straight, train with kills and resumptions, and compare.

    Args:
        overrides: As typed.
        kills: How often to kill; every second time while a checkpoint is written.
        runs_dir: Where the two runs go, in ``verify-resume/``; they are kept if they differ.
        config_dir: The user's own options.
        trusted: As for :func:`dlrun.api.train.train`.

    Returns:
        Whether the runs are equal, the kills, what was compared, and the differences.

    Raises:
        DlrunError: If a run fails, or ends before it could be killed.
        Interrupted: If a signal stopped it; neither run nor process stays behind.
    """
    config = compose(overrides, config_dir=config_dir, trusted=trusted)
    require(config, training=True)
    overrides = [*overrides, *as_override(config)]
    place = runs_dir / "verify-resume" / f"{time.strftime(TIME_FORMAT)}_{secrets.token_hex(2)}"
    options = ["--config-dir", str(config_dir.resolve())] if config_dir else []
    # A resumed run is told only what it recorded, and not that these were typed.
    typed = re.findall(r"_target_\s*[=:]\s*['\"]?((?!dlrun\.)\w+(?:\.\w+)+)", " ".join(overrides))
    options += [word for module in (*trusted, *typed) for word in ("--trust", module)]

    def command(verb: str, *arguments: str) -> list[str]:
        return python_command("dlrun", verb, *arguments, *options, "--quiet", "--json")

    def train(name: str) -> list[str]:
        return command("train", *overrides, f"runs_dir={place / name}")

    with _stoppable(place) as stopped:
        straight = _finished(train("straight"), stopped)
        log.info("straight  %d epochs, %.1f s", straight["epochs"], straight["seconds"]["total"])
        one = _the_run(place / "straight")
        moments, landed = _moments(straight["epochs"], kills), []
        going = train("killed")
        for moment in moments:
            where = _killed(going, place / "killed", moment, _epoch_seconds(one), stopped)
            if where is None:
                raise DlrunError(
                    f"the run ended before it could be killed in epoch {moment.epoch} or later",
                    hint="fewer kills, or more epochs or samples",
                    exit_code=1,
                )
            other = _the_run(place / "killed")
            landed.append(where)
            log.info("killed    %s", where)
            going = command("resume", str(other))
        resumed = _finished(going, stopped)
        log.info("resumed   %d epochs", resumed["epochs"])

    arrays, differences = _compare(one, other)
    differences += [
        f"{key}: {straight[key]} and {resumed[key]}"
        for key in straight
        if key not in UNLIKE and straight[key] != resumed[key]
    ]
    if not differences:
        _remove(place)
    return {
        "equal": not differences,
        "backend": straight["backend"],
        "loop": straight["loop"],
        "epochs": straight["epochs"],
        "killed": landed,
        "arrays": arrays,
        "differences": differences,
        "runs": str(place) if differences else None,
    }


@contextmanager
def _stoppable(place: Path) -> Iterator[Callable[[], None]]:
    """Take SIGINT and SIGTERM as requests; yields what raises if there was one."""
    # However many: the processes that were started are to be ended.
    with signals.record_signals(repeatable=True) as heard:

        def stopped() -> None:
            if heard:
                raise Interrupted(heard[0])

        try:
            yield stopped
            stopped()
        except (DlrunError, Interrupted) as error:
            if not heard:
                raise
            _remove(place)  # Ctrl-C ends the processes too, which must not pass for a failure
            log.warning("interrupted; the runs are removed")
            raise Interrupted(heard[0]) from error


def _remove(place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    with suppress(OSError):  # others are kept there
        place.parent.rmdir()


@contextmanager
def _process(command: Sequence[str], **streams: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process that does not outlive the block."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, **streams)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _moments(epochs: int, kills: int) -> list[_Moment]:
    """Epochs in order, as each run goes on from where the one before was killed."""
    chosen = sorted(random.choices(range(1, max(epochs, 2)), k=kills))
    return [_Moment(epoch, saving=number % 2 == 1) for number, epoch in enumerate(chosen)]


def _finished(command: Sequence[str], stopped: Callable[[], None]) -> dict[str, Any]:
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        with _process(command, stdout=out, stderr=errors) as process:
            while process.poll() is None:
                stopped()
                time.sleep(0.01)
        out.seek(0)
        errors.seek(0)
        if process.returncode:
            told = [line for line in errors.read().decode().splitlines() if line[:7] == "error: "]
            raise DlrunError(
                f"'dlrun {command[command.index('dlrun') + 1]}' failed: "
                + (told[-1].removeprefix("error: ") if told else f"exit {process.returncode}"),
                exit_code=1,
            )
        return dict(json.loads(out.read()))


def _killed(
    command: Sequence[str],
    place: Path,
    moment: _Moment,
    epoch_seconds: float,
    stopped: Callable[[], None],
) -> str | None:
    """Run a command and kill it at its moment, or soon after; where, or None if it ended before."""
    with _process(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        # By its number, as one that was killed before may have left some of its own.
        partial = f"*/*/checkpoints/.epoch-*.partial-{process.pid}"

        def come() -> bool:
            if moment.saving:
                return _epochs_done(place) >= moment.epoch - 1 and any(place.glob(partial))
            begun = any(place.glob(f"*/*/{RECORD}"))
            return begun and _epochs_done(place) >= moment.epoch - 1

        while process.poll() is None and not come():
            stopped()
            time.sleep(POLL_SECONDS)
        until = time.monotonic() + (0 if moment.saving else random.uniform(0, epoch_seconds))
        while process.poll() is None and time.monotonic() < until:
            stopped()
            time.sleep(POLL_SECONDS)
        if process.poll() is not None:
            return None
    epoch = _epochs_done(place) + 1
    return f"while epoch {epoch} was saved" if any(place.glob(partial)) else f"in epoch {epoch}"


def _epochs_done(place: Path) -> int:
    from dlrun.checkpoints.store import list_epochs

    epochs = (list_epochs(path) for path in place.glob(f"*/*/{CHECKPOINTS}"))
    return max((max(kept, default=0) for kept in epochs), default=0)


def _the_run(place: Path) -> Path:
    [record] = place.glob(f"*/*/{RECORD}")
    return record.parent


def _epoch_seconds(run: Path) -> float:
    rows = _table(run)
    return float(rows[-1]["seconds"]) if rows else 0.0


def _table(run: Path) -> list[dict[str, str]]:
    try:
        with (run / METRICS).open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    except FileNotFoundError:  # ~callbacks.csv
        return []


def _compare(one: Path, other: Path) -> tuple[int, list[str]]:
    """How many arrays were compared, and what differs between two runs."""
    from dlrun.checkpoints.format import PARTS, read_checkpoint
    from dlrun.checkpoints.store import checkpoint_path, list_positions

    differences, arrays = [], 0
    kept = [list_positions(run / CHECKPOINTS) for run in (one, other)]
    if kept[0] != kept[1]:
        differences.append(f"checkpoints: {_all(kept[0])} and {_all(kept[1])}")
    for at in (at for at in kept[0] if at in kept[1]):
        ours, theirs = (
            read_checkpoint(checkpoint_path(run / CHECKPOINTS, at)) for run in (one, other)
        )
        for part in PARTS:
            for a, b in zip(getattr(ours, part), getattr(theirs, part), strict=True):
                arrays += 1
                if a.value.tobytes() != b.value.tobytes():
                    differences.append(f"{at}: {part} {a.path}")
        for run_state in (ours.state, theirs.state):
            for row in run_state["callbacks"].get("csv", {}).get("rows", []):
                row.pop("seconds", None)
        differences += [
            f"{at}: {key}" for key in ours.state if ours.state[key] != theirs.state[key]
        ]
    tables = [[{**row, "seconds": ""} for row in _table(run)] for run in (one, other)]
    if tables[0] != tables[1]:
        differences.append(METRICS)
    return arrays, differences


def _all(kept: Sequence[Any]) -> str:
    return ", ".join(map(str, kept)) or "none"
