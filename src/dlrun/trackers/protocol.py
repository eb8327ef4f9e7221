"""What a tracker learns of a run, and what it does with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ARTIFACTS = ("checkpoint", "config", "evaluation", "plots", "report")


@dataclass(frozen=True)
class TrackedRun:
    """A run as a tracker sees it.

    Args:
        name: The run's name, unique among its experiment's, such as ``2026-11-21_10-04-31_k3f9``.
        experiment: The folder of the run, such as ``mnist_mlp``; the sweep's name for its runs.
        directory: The run's directory.
        runs_dir: Where a tracker without a server stores what it keeps.
        parameters: The config by dotted keys: strings, numbers, or None.
        tags: Strings by name.
        sweep: The directory of the run's sweep; None outside of one.
        resumes: Whether it continues a run that may be there.
        repeats: Whether the steps after the checkpoint that it continues from, which were trained
            before it was stopped, have the same values again.
        id: The tracker's own id of the run that is resumed; None for a new one, and for one that
            was killed before its tracker had told its id.
        parent: The tracker's id of the sweep's parent run; None outside of a sweep.
        told: How many rows the tracker was told of it before it was resumed.
    """

    name: str
    experiment: str
    directory: Path
    runs_dir: Path
    parameters: Mapping[str, Any]
    tags: Mapping[str, str]
    sweep: Path | None = None
    resumes: bool = False
    repeats: bool = False
    id: str | None = None
    parent: str | None = None
    told: int = 0


@dataclass(frozen=True)
class Row:
    """Values at one point of training.

    Args:
        step: The epoch, from 1; for values of a batch the number of steps taken.
        values: Numbers by name; those of a batch are named ``batch/NAME``.
        at: Seconds since 1970.
        every: Of a batch: which numbers of steps it completes; a tracker gets it if its own
            ``every_steps`` is one of them. None for an epoch.
    """

    step: int
    values: Mapping[str, float]
    at: float
    every: tuple[int, ...] | None = None

    @property
    def is_batch(self) -> bool:
        """Whether the values are those of a batch."""
        return self.every is not None


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Args:
        status: ``completed``, ``failed``, ``interrupted``, or ``killed``.
        results: Numbers by name, such as ``test/accuracy``.
        files: What to keep of the run: files or directories, by the name of the artifact.
    """

    status: str
    results: Mapping[str, float] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)


class Tracker:
    """A tracker. All methods but the constructor are called in the trackers' process.

    Any of them may raise: the run goes on without this tracker, and one line says why. The
    constructor is also called in the run's process; it only keeps its arguments.

    Args:
        every_steps: Also log the values of each batch whose number is a multiple of this; where a
            loop takes several steps in one call, those at the end of the call.
        artifacts: What of the run's directory to keep, some of :data:`ARTIFACTS`.
        tags: Tags beside those that every run has.

    Raises:
        ValueError: If there is no such artifact, or ``every_steps`` is not positive.
    """

    def __init__(
        self,
        *,
        every_steps: int | None = None,
        artifacts: Sequence[str] = ARTIFACTS,
        tags: Mapping[str, Any] | None = None,
    ) -> None:
        if every_steps is not None and every_steps < 1:
            raise ValueError(f"every_steps={every_steps}: expected a number from 1, or null")
        for name in artifacts:
            if name not in ARTIFACTS:
                raise ValueError(f"artifacts: no {name!a}; there are {', '.join(ARTIFACTS)}")
        self.every_steps = every_steps
        self.artifacts = tuple(artifacts)
        self.tags = {name: str(value) for name, value in (tags or {}).items()}

    def start_sweep(self, run: TrackedRun) -> str:
        """Make the parent of a sweep's runs, once for the whole sweep; return its id.

        Args:
            run: The first of its runs.
        """
        assert run.sweep is not None
        return run.sweep.name

    def start(self, run: TrackedRun) -> tuple[str, str]:
        """Start the run, or go on in the one that has ``run.id``.

        Returns:
            The tracker's id of the run, and how to look at it, for people.
        """
        raise NotImplementedError

    def log(self, rows: Sequence[Row]) -> None:
        """Keep some values."""
        raise NotImplementedError

    def finish(self, outcome: Outcome) -> None:
        """Keep how the run ended; called once for each start."""
        raise NotImplementedError
