"""``dlrun verify-resume``: prove that a run that is killed and resumed loses nothing.

One run trains straight through. Another of the same config is killed with SIGKILL, in an epoch and
while it saves, and resumed each time. Both must come to the same bits.
"""

from __future__ import annotations

import csv
import json
import logging
import random
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlrun import backends, run_dir
from dlrun.config.compose import compose
from dlrun.errors import DlrunError

log = logging.getLogger("dlrun")

POLL_SECONDS = 0.0005  # a checkpoint is written in some milliseconds
# Of a result and of a table's row, what differs between any two runs.
UNLIKE = ("run_dir", "seconds", "examples_per_second", "peak_memory_bytes")


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
        trusted: As for :func:`dlrun.train.train`.

    Returns:
        Whether the runs are equal, the kills, what was compared, and the differences.

    Raises:
        DlrunError: If a run fails, or ends before it could be killed.
    """
    config = compose(overrides, config_dir=config_dir, trusted=trusted)
    backends.require(config.backend.name, training=True)
    place = runs_dir / "verify-resume" / f"{time.strftime(run_dir.NAME)}_{secrets.token_hex(2)}"
    options = ["--config-dir", str(config_dir.resolve())] if config_dir else []
    options += [word for module in trusted for word in ("--trust", module)]

    def command(verb: str, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "dlrun", verb, *arguments, *options, "--quiet", "--json"]

    def train(name: str) -> list[str]:
        return command("train", *overrides, f"runs_dir={place / name}")

    straight = _finished(train("straight"))
    log.info("straight  %d epochs, %.1f s", straight["epochs"], straight["seconds"]["total"])
    one = _the_run(place / "straight")
    moments, landed = _moments(straight["epochs"], kills), []
    going = train("killed")
    for moment in moments:
        where = _killed(going, place / "killed", moment, _epoch_seconds(one))
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
    resumed = _finished(going)
    log.info("resumed   %d epochs", resumed["epochs"])

    arrays, differences = _compare(one, other)
    differences += [
        f"{key}: {straight[key]} and {resumed[key]}"
        for key in straight
        if key not in UNLIKE and straight[key] != resumed[key]
    ]
    if not differences:
        shutil.rmtree(place)
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


def _moments(epochs: int, kills: int) -> list[_Moment]:
    """Epochs in order, as each run goes on from where the one before was killed."""
    chosen = sorted(random.choices(range(1, max(epochs, 2)), k=kills))
    return [_Moment(epoch, saving=number % 2 == 1) for number, epoch in enumerate(chosen)]


def _finished(command: Sequence[str]) -> dict[str, Any]:
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        told = [line for line in ran.stderr.splitlines() if line.startswith("error: ")]
        raise DlrunError(
            f"'dlrun {command[3]}' failed: "
            + (told[-1].removeprefix("error: ") if told else f"exit {ran.returncode}"),
            exit_code=1,
        )
    return dict(json.loads(ran.stdout))


def _killed(
    command: Sequence[str], place: Path, moment: _Moment, epoch_seconds: float
) -> str | None:
    """Run a command and kill it at its moment, or soon after; where, or None if it ended before."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    # By its number, as one that was killed before may have left some of its own.
    partial = f"*/*/checkpoints/.epoch-*.partial-{process.pid}"

    def come() -> bool:
        if moment.saving:
            return _epochs_done(place) >= moment.epoch - 1 and any(place.glob(partial))
        return any(place.glob(f"*/*/{run_dir.RECORD}")) and _epochs_done(place) >= moment.epoch - 1

    try:
        while process.poll() is None and not come():
            time.sleep(POLL_SECONDS)
        if not moment.saving:
            time.sleep(random.uniform(0, epoch_seconds))
        if process.poll() is not None:
            return None
    finally:
        process.kill()
        process.wait()
    epoch = _epochs_done(place) + 1
    return f"while epoch {epoch} was saved" if any(place.glob(partial)) else f"in epoch {epoch}"


def _epochs_done(place: Path) -> int:
    from dlrun import checkpoint

    epochs = (checkpoint.epochs_kept(path) for path in place.glob(f"*/*/{run_dir.CHECKPOINTS}"))
    return max((max(kept, default=0) for kept in epochs), default=0)


def _the_run(place: Path) -> Path:
    [record] = place.glob(f"*/*/{run_dir.RECORD}")
    return record.parent


def _epoch_seconds(run: Path) -> float:
    rows = _table(run)
    return float(rows[-1]["seconds"]) if rows else 0.0


def _table(run: Path) -> list[dict[str, str]]:
    try:
        with (run / "metrics.csv").open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    except FileNotFoundError:  # ~callbacks.csv
        return []


def _compare(one: Path, other: Path) -> tuple[int, list[str]]:
    """How many arrays were compared, and what differs between two runs."""
    from dlrun import checkpoint

    differences, arrays = [], 0
    kept = [checkpoint.kept(run / run_dir.CHECKPOINTS) for run in (one, other)]
    if kept[0] != kept[1]:
        differences.append(f"checkpoints: {_all(kept[0])} and {_all(kept[1])}")
    for at in (at for at in kept[0] if at in kept[1]):
        ours, theirs = (
            checkpoint.read(checkpoint.path_of(run / run_dir.CHECKPOINTS, at))
            for run in (one, other)
        )
        for part in checkpoint.PARTS:
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
        differences.append("metrics.csv")
    return arrays, differences


def _all(kept: Sequence[Any]) -> str:
    return ", ".join(map(str, kept)) or "none"
