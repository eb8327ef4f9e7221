"""TensorBoard, by event files that need no TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dlrun.callbacks.event_files import EventFiles
from dlrun.trackers.protocol import Outcome, Row, TrackedRun, Tracker


class TensorBoard(Tracker):
    """Writes curves, and the parameters with the results, into the run's directory.

    Args:
        **common: As for :class:`Tracker`; event files keep no artifacts.
    """

    def __init__(self, **common: Any) -> None:
        super().__init__(artifacts=(), **common)
        self._files: EventFiles | None = None
        self._parameters: dict[str, Any] = {}
        self._resumes = False

    def start(self, run: TrackedRun) -> tuple[str, str]:
        """Open the files."""
        self._files = EventFiles(str(run.directory / "tensorboard"))
        self._parameters = {n: "null" if v is None else v for n, v in run.parameters.items()}
        self._resumes = run.resumes
        root = run.sweep or run.directory
        return run.name, f"tensorboard --logdir {root}"

    def log(self, rows: Sequence[Row]) -> None:
        """Write points: of an epoch at its number from 0, as Keras does, of a batch at its step."""
        assert self._files is not None
        for row in rows:
            if row.is_batch:
                for name, value in row.values.items():
                    tag = name.replace("batch/", "batch_")
                    # Hidden by their own steps where a resumed run repeats them, as epochs are.
                    writer = self._files.writer("batches", first=row.step if self._resumes else 0)
                    writer.add_scalar(tag, value, row.step)
                continue
            if self._resumes:
                self._files.start_at(row.step - 1)
            self._files.add_epoch(row.step - 1, row.values)
        self._files.flush()

    def finish(self, outcome: Outcome) -> None:
        """Write the table of parameters and results, and close the files."""
        assert self._files is not None
        if outcome.results:
            self._files.writer("train").add_hparams(
                self._parameters, dict(outcome.results), name="parameters"
            )
        self._files.close()
