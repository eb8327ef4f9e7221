"""Trackio, Hugging Face's tracker that keeps runs in a local database."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from dlrun.trackers.protocol import Outcome, Row, TrackedRun, Tracker


class Trackio(Tracker):
    """Writes runs to Trackio's database beside the runs, and to a Space if one is named.

    Args:
        project: The project's name; None for that of the run's folder, such as ``mnist_mlp``.
        space_id: A Space of Hugging Face to send to, such as ``user/space``; None sends nothing.
        **common: As for :class:`Tracker`.
    """

    def __init__(
        self, *, project: str | None = None, space_id: str | None = None, **common: Any
    ) -> None:
        super().__init__(**common)
        self.project = project
        self.space_id = space_id
        self._run: Any = None

    def start(self, run: TrackedRun) -> tuple[str, str]:
        """Start a run in the group of its sweep, or go on in the one of this name."""
        folder = run.runs_dir / "trackio"
        folder.mkdir(parents=True, exist_ok=True)
        os.environ.setdefault("TRACKIO_DIR", str(folder))  # read once, at import
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
        import trackio

        project = self.project or run.experiment
        name = run.id or run.name  # what it finds a run by
        self._run = trackio.init(
            project=project,
            name=name,
            group=run.parent,
            space_id=self.space_id,
            config={**run.parameters, **run.tags},
            resume="allow",
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )
        return name, f"TRACKIO_DIR={os.environ['TRACKIO_DIR']} trackio show --project {project}"

    def log(self, rows: Sequence[Row]) -> None:
        """Log values at their step."""
        for row in rows:
            self._run.log(dict(row.values), step=row.step)

    def finish(self, outcome: Outcome) -> None:
        """Log the results and the files."""
        if outcome.results:
            self._run.log(dict(outcome.results))
        for name, path in outcome.files.items():
            kind = "model" if name == "checkpoint" else name
            self._run.log_artifact(str(path), name=f"{self._run.name}-{name}", type=kind)
        self._run.finish()
