"""Connect a run with the trackers of its config."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun.config.schema import Config
from dlrun.data.length import Length
from dlrun.errors import RunInterrupted
from dlrun.runs.directory import CONFIG, RECORD, SWEEP_FILE, RunDir
from dlrun.runs.result import RunResult
from dlrun.system.files import is_file

if TYPE_CHECKING:  # Keras is not imported before the backend is started
    from dlrun.trackers.client import Tracking
    from dlrun.trackers.protocol import Outcome, TrackedRun, Tracker
    from dlrun.training.hooks.track import Track

# Of no use to compare runs by; a tracker's own address may hold a password.
UNTRACKED = ("choices", "tracker", "reproduces", "sweep", "runs_dir")
ID = re.compile(r"[\w.-]{1,128}")
KERAS_LOOPS = ("dlrun.loops.fit.", "dlrun.loops.train_step.")  # what calls Model.fit
INTERRUPTED_SECONDS = 5.0  # whoever stopped the run does not want to wait


class TrackedTraining:
    """The trackers of a run that trains.

    Args:
        tracking: The run's side of its trackers; None without any.
        hooks: The callbacks that watch training.
        directory: The run's directory.
    """

    def __init__(self, tracking: Tracking | None, hooks: list[Track], directory: RunDir) -> None:
        self.hooks = hooks
        self._tracking = tracking
        self._directory = directory

    def complete(self, result: RunResult) -> None:
        """Hand over the results and files of a completed run, and wait until they are kept."""
        from dlrun.trackers.protocol import Outcome

        if self._tracking is not None:
            self._finish(Outcome("completed", _results(result), _files(self._directory, result)))

    def _finish(self, outcome: Outcome, **options: Any) -> None:
        assert self._tracking is not None
        tracking, self._tracking = self._tracking, None
        tracking.finish(outcome, **options)
        if tracking.has_new_ids and is_file(self._directory.path / RECORD):
            self._directory.update(trackers=tracking.take_ids())

    def end(self, status: str) -> None:
        """Hand over how a run ended that did not complete."""
        from dlrun.trackers.protocol import Outcome

        if self._tracking is not None:
            limits = {"seconds": INTERRUPTED_SECONDS} if status == "interrupted" else {}
            self._finish(Outcome(status), **limits)


@contextmanager
def tracking(
    trackers: Mapping[str, Tracker], config: Config, directory: RunDir, length: Length
) -> Iterator[TrackedTraining]:
    """Start the run in its trackers, and tell them how it ends.

    Args:
        trackers: From :func:`dlrun.assembly.trackers.build_trackers`.
        config: The run's config.
        directory: Its directory, whose record has the trackers' ids of a resumed run.
        length: The run's.
    """
    if not trackers:
        yield TrackedTraining(None, [], directory)
        return
    from dlrun.trackers.client import Tracking
    from dlrun.training.hooks.track import Track

    recorded = directory.record.get("trackers")
    ids = recorded if isinstance(recorded, dict) else {}
    ids = {name: i for name, i in ids.items() if isinstance(i, str) and ID.fullmatch(i)}
    client = Tracking(trackers, _tracked_run(config, directory), ids)
    every = tuple(t.every_steps for t in trackers.values() if t.every_steps is not None)
    is_fit = str(config.loop.get("_target_")).startswith(KERAS_LOOPS)
    hook = Track(client, every, directory, length, is_fit=is_fit)
    tracked = TrackedTraining(client, [hook], directory)
    try:
        yield tracked
    except BaseException as error:
        is_stopped = isinstance(error, RunInterrupted | KeyboardInterrupt)
        tracked.end("interrupted" if is_stopped else "failed")
        raise
    tracked.end("failed")  # unless it is complete


def _tracked_run(config: Config, directory: RunDir) -> TrackedRun:
    from dlrun.trackers.protocol import TrackedRun

    path, record = directory.path.resolve(), directory.record
    resumed = record.get("resumed") or []
    sweep = path.parent if is_file(path.parent / SWEEP_FILE) else None
    own = config.name or config.choices.get("experiment") or config.choices.get("model")
    tags = {key: record.get(key) for key in ("backend", "device", "model", "data", "loop")}
    commit = (record.get("git") or {}).get("commit")
    return TrackedRun(
        name=f"{sweep.name}-{path.name}" if sweep else path.name,
        experiment=str(own or path.parent.name) if sweep else path.parent.name,
        directory=path,
        runs_dir=path.parents[2] if sweep else path.parents[1],
        parameters={**config.choices, **dict(_flat("", asdict(config)))},
        tags={key: str(value) for key, value in (tags | {"commit": commit}).items() if value},
        sweep=sweep,
        resumes=bool(resumed),
        repeats=bool(resumed) and not resumed[-1].get("overrides"),
    )


def _flat(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The leaves of a config by dotted keys; a list is one text."""
    if isinstance(value, Mapping):
        for name, each in value.items():
            if key or name not in UNTRACKED:
                yield from _flat(f"{key}.{name}" if key else str(name), each)
    elif isinstance(value, list | tuple):
        yield key, str(list(value))
    else:
        yield key, value


def _results(result: RunResult) -> dict[str, float]:
    """The numbers of a result, as ``test/accuracy``."""
    splits = {"test": result.test, "best/val": result.validation, "best/train": result.train}
    values = {f"{split}/{n}": v for split, named in splits.items() for n, v in named.items()}
    if result.device_memory_bytes is not None:
        values["device_memory_bytes"] = result.device_memory_bytes
    return {
        **values,
        "best_epoch": result.best_epoch,
        "epochs": result.epochs,
        "seconds": result.seconds["total"],
        "examples_per_second": result.examples_per_second,
        "peak_memory_bytes": result.peak_memory_bytes,
    }


def _files(directory: RunDir, result: RunResult) -> dict[str, Path]:
    """What there is of a run to keep, by the name of the artifact."""
    from dlrun.checkpoints.store import Position, checkpoint_path

    files = {
        "checkpoint": checkpoint_path(directory.checkpoints, Position(result.best_epoch)),
        "config": directory.path / CONFIG,
        "evaluation": directory.path / "evaluation",
        "plots": directory.path / "plots",
        "report": directory.path / "report.html",
    }
    return {name: path.resolve() for name, path in files.items() if path.exists()}
