"""``dlrun verify-resume``: prove that a killed and resumed run loses nothing.

One run trains without interruption. Another of the same config is killed with SIGKILL, during an
epoch and during a save, and resumed each time. Both must be bit-identical. Where the clock decides
when to validate, the second one validates where the first one did.
"""

from __future__ import annotations

import logging
import random
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dlrun.assembly.require import require
from dlrun.config.compose import compose
from dlrun.config.project import HERE, Project
from dlrun.errors import DlrunError, RunInterrupted
from dlrun.proofs.killed_process import Moment, find_run, kill_at, kill_when_recorded, run_command
from dlrun.proofs.same_bits import compare_bits
from dlrun.remote.places import refuse_remote
from dlrun.runs.directory import CHECKPOINTS, RECORD, TIME_FORMAT
from dlrun.runs.history import read_rows
from dlrun.system import signals
from dlrun.system.child import python_command
from dlrun.system.files import read_json, write_json
from dlrun.training.initial_weights import as_override

log = logging.getLogger("dlrun")

# Values of a result that differ between any two runs.
UNLIKE = (
    "run_dir", "seconds", "step_seconds", "examples_per_second", "peak_memory_bytes",
    "device_memory_bytes",
)  # fmt: skip


@dataclass
class _Commands:
    """The command lines of the runs.

    Args:
        overrides: Of each run.
        directory: With a ``runs_dir`` for each.
        options: Of each command.
    """

    overrides: Sequence[str]
    directory: Path
    options: Sequence[str]

    def train(self, name: str) -> list[str]:
        """Train a run in the directory of this name."""
        return self._command("train", *self.overrides, f"runs_dir={self.directory / name}")

    def resume(self, run: Path) -> list[str]:
        """Resume a run."""
        return self._command("resume", str(run))

    def _command(self, command: str, *arguments: str) -> list[str]:
        return python_command("dlrun", command, *arguments, *self.options, "--quiet", "--json")


def verify_resume(
    overrides: Sequence[str],
    *,
    kills: int = 2,
    runs_dir: Path | None = None,
    project: Project = HERE,
) -> dict[str, Any]:
    """Train without interruption, train with kills and resumptions, and compare.

    Args:
        overrides: As typed.
        kills: The number of kills; every second one during a save.
        runs_dir: The two runs are written to its ``verify-resume/``; they are kept if they differ.
            None for ``runs_dir`` of the config.
        project: The user's own options, and what is trusted.

    Returns:
        Whether the runs are equal, the kills, the number of arrays compared, and the differences.

    Raises:
        DlrunError: If a run fails, or ends before it could be killed.
        RunInterrupted: If a signal stopped it; no run and no process is left.
    """
    config = compose(overrides, project=project)
    require(config, training=True)
    overrides = [*overrides, *as_override(config)]
    name = f"{time.strftime(TIME_FORMAT)}_{secrets.token_hex(2)}"
    refuse_remote(runs_dir or Path(config.runs_dir), "'dlrun verify-resume'")
    directory = (runs_dir or Path(config.runs_dir)) / "verify-resume" / name
    killed = directory / "killed"
    commands = _Commands(overrides, directory, _options(overrides, project))
    with _signals_handled(directory) as raise_if_stopped:
        straight = run_command(commands.train("straight"), raise_if_stopped)
        log.info("straight  %d epochs, %.1f s", straight["epochs"], straight["seconds"]["total"])
        straight_run = find_run(directory / "straight")
        next_command = commands.train("killed")
        if config.validates_by_time:
            kill_when_recorded(next_command, killed, raise_if_stopped)
            _take_decisions(find_run(killed), straight_run)
            next_command = commands.resume(find_run(killed))
        kill_places = []
        for moment in _moments(straight["epochs"], kills):
            seconds = _epoch_seconds(straight_run)
            place = kill_at(next_command, killed, moment, seconds, raise_if_stopped)
            kill_places.append(place)
            log.info("killed    %s", place)
            next_command = commands.resume(find_run(killed))
        resumed = run_command(next_command, raise_if_stopped)
        log.info("resumed   %d epochs", resumed["epochs"])

    arrays, differences = compare_bits(straight_run, find_run(killed))
    differences += [
        f"{key}: {straight[key]} and {resumed[key]}"
        for key in straight
        if key not in UNLIKE and straight[key] != resumed[key]
    ]
    if not differences:
        _remove(directory)
    return {
        "equal": not differences,
        "backend": straight["backend"],
        "loop": straight["loop"],
        "epochs": straight["epochs"],
        "killed": kill_places,
        "arrays": arrays,
        "differences": differences,
        "runs": str(directory) if differences else None,
    }


def _options(overrides: Sequence[str], project: Project) -> list[str]:
    """The options that each command takes."""
    # A resumed run does not trust its record, although the user typed these targets.
    targets = re.findall(r"_target_\s*[=:]\s*['\"]?((?!dlrun\.)\w+(?:\.\w+)+)", " ".join(overrides))
    return replace(project, trusted=(*project.trusted, *targets)).to_words()


@contextmanager
def _signals_handled(directory: Path) -> Iterator[Callable[[], None]]:
    """Handle SIGINT and SIGTERM as requests; yields a function that raises after one.

    Raises:
        RunInterrupted: If there was a signal.
    """
    # Also repeated ones: the child processes must be ended first.
    with signals.record_signals(repeatable=True) as heard:

        def raise_if_stopped() -> None:
            if heard:
                raise RunInterrupted(heard[0])

        try:
            yield raise_if_stopped
            raise_if_stopped()
        except (DlrunError, RunInterrupted) as error:
            if not heard:
                raise
            _remove(directory)  # Ctrl-C also ends the processes, which is not a failure
            log.warning("interrupted; the runs are removed")
            raise RunInterrupted(heard[0]) from error


def _remove(directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    with suppress(OSError):  # not empty
        directory.parent.rmdir()


def _moments(epochs: int, kills: int) -> list[Moment]:
    """Random epochs, sorted, since each resumed run continues where the previous one was killed."""
    chosen = sorted(random.choices(range(1, max(epochs, 2)), k=kills))
    return [Moment(epoch, saving=number % 2 == 1) for number, epoch in enumerate(chosen)]


def _take_decisions(run: Path, straight: Path) -> None:
    """Let a run begin again with what the clock decided in another: it would decide otherwise."""
    shutil.rmtree(run / CHECKPOINTS, ignore_errors=True)
    length = read_json(straight / RECORD)["length"]
    write_json(run / RECORD, {**read_json(run / RECORD), "length": length})


def _epoch_seconds(run: Path) -> float:
    rows = read_rows(run)
    return float(rows[-1]["seconds"]) if rows else 0.0
