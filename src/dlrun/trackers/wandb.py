"""Weights & Biases."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlrun.trackers.protocol import Outcome, Row, TrackedRun, Tracker


class WandB(Tracker):
    """Writes runs to Weights & Biases: offline, into a folder beside the runs, unless asked.

    Args:
        project: The project's name; None for that of the run's folder, such as ``mnist_mlp``.
        entity: The user or team; None for the account's own.
        mode: ``online`` sends to the server that the account is logged in to, ``offline`` writes
            files that ``wandb sync`` sends; None: ``WANDB_MODE``, else ``offline``.
        **common: As for :class:`Tracker`.

    Raises:
        ValueError: If there is no such mode.
    """

    def __init__(
        self,
        *,
        project: str | None = None,
        entity: str | None = None,
        mode: str | None = None,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        if mode not in (None, "online", "offline"):
            raise ValueError(f"mode={mode!a}: expected online, offline or null")
        self.project = project
        self.entity = entity
        self.mode = mode
        self._run: Any = None
        self._row: int | None = None  # W&B's own step of the next row; None: the server's next

    def start(self, run: TrackedRun) -> tuple[str, str]:
        """Start a run in the group of its sweep, or go on in the one of ``run.id``."""
        folder = run.runs_dir / "wandb"
        folder.mkdir(parents=True, exist_ok=True)
        # Else it keeps a second and a third copy of each file in the user's home.
        for name in ("WANDB_DATA_DIR", "WANDB_CACHE_DIR"):
            os.environ.setdefault(name, str(folder / "cache"))
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb

        mode: Any = self.mode or os.environ.get("WANDB_MODE") or "offline"
        if not run.resumes:
            _remove_attempts(folder, run.name)
        settings = wandb.Settings(console="off", disable_git=True, save_code=False, silent=True)
        self._run = wandb.init(
            project=self.project or run.experiment,
            entity=self.entity,
            name=run.name,
            # The run's own id: offline there is no server to give one.
            id=run.id or run.name,
            # Offline it is for wandb sync, which else replaces the first part by the resumed one.
            resume="allow" if mode == "online" or run.resumes else None,
            dir=str(run.runs_dir),
            mode=mode,
            config=dict(run.parameters),
            tags=[f"{name}={value}"[:64] for name, value in run.tags.items()],
            group=run.parent,
            settings=settings,
        )
        self._run.define_metric("epoch")
        self._run.define_metric("step")
        self._run.define_metric("batch/*", step_metric="step")
        self._run.define_metric("*", step_metric="epoch")
        if mode == "online":
            return str(self._run.id), str(self._run.url)
        self._row = run.told  # the rows of each part would else be counted from 0
        files = Path(self._run.dir).parent  # of a resumed run, those of each of its parts
        parts = files.with_name(f"offline-run-*-{self._run.id}") if run.resumes else files
        return str(self._run.id), f"wandb sync {parts}"

    def log(self, rows: Sequence[Row]) -> None:
        """Log values with the epoch or the step that they belong to."""
        for row in rows:
            point = {"step" if row.is_batch else "epoch": row.step, **row.values}
            self._run.log(point, step=self._row)
            if self._row is not None:
                self._row += 1

    def finish(self, outcome: Outcome) -> None:
        """Keep the results in the run's summary, and the files as artifacts."""
        import wandb

        self._run.summary.update({**outcome.results, "status": outcome.status})
        for name, path in outcome.files.items():
            artifact = wandb.Artifact(
                f"{self._run.name}-{name}", type="model" if name == "checkpoint" else name
            )
            if path.is_dir():
                artifact.add_dir(str(path))
            else:
                artifact.add_file(str(path))
            self._run.log_artifact(artifact)
        self._run.finish(exit_code=0 if outcome.status == "completed" else 1)


def _remove_attempts(folder: Path, name: str) -> None:
    """Remove what is kept of a run that its sweep trains anew, as the run's directory was removed.

    ``wandb sync`` would send the rows of both attempts, one after the other, as those of one run.
    """
    for path in folder.glob("offline-run-*"):
        if re.fullmatch(rf"offline-run-\d+_\d+-{re.escape(name)}", path.name):
            shutil.rmtree(path, ignore_errors=True)
