"""MLflow."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dlrun.trackers.protocol import Outcome, Row, TrackedRun, Tracker

STATUS = {"completed": "FINISHED", "failed": "FAILED"}  # of others KILLED
LONGEST = 500  # characters of a parameter, the least of any MLflow 2 or 3
AT_ONCE = 1000  # metrics in one call
PARENT, NAME = "mlflow.parentRunId", "dlrun.run"


class MLflow(Tracker):
    """Writes runs to an MLflow server, or to a database and a folder beside the runs.

    Args:
        uri: Of the server or the database. None: ``MLFLOW_TRACKING_URI``, else ``mlflow.db`` in the
            directory of the runs, whose files are in ``mlflow-artifacts``.
        experiment: The experiment's name; None for that of the run's folder, such as ``mnist_mlp``.
        **common: As for :class:`Tracker`.
    """

    def __init__(
        self, *, uri: str | None = None, experiment: str | None = None, **common: Any
    ) -> None:
        super().__init__(**common)
        self.uri = uri
        self.experiment = experiment
        self._client: Any = None
        self._run_id = ""

    def start_sweep(self, run: TrackedRun) -> str:
        """Make a parent run that is named as the sweep."""
        assert run.sweep is not None
        with self._open(run) as experiment:
            parent = self._client.create_run(
                experiment, run_name=run.sweep.name, tags={"dlrun.sweep": str(run.sweep)}
            )
        # It trains nothing, and no single process sees all of its runs end.
        self._client.set_terminated(parent.info.run_id, "FINISHED")
        return str(parent.info.run_id)

    def start(self, run: TrackedRun) -> tuple[str, str]:
        """Create a run, or set the run of ``run.id`` running again."""
        with self._open(run) as experiment:
            if (found := self._find(run, experiment)) is not None:
                self._client.update_run(found, status="RUNNING")
                self._run_id = found
            else:
                tags = {**run.tags, NAME: run.name, **({PARENT: run.parent} if run.parent else {})}
                created = self._client.create_run(experiment, run_name=run.name, tags=tags)
                self._run_id = str(created.info.run_id)
                self._log_parameters(run)
        return self._run_id, f"mlflow ui --backend-store-uri {self._uri(run)}"

    def log(self, rows: Sequence[Row]) -> None:
        """Log metrics at their step."""
        from mlflow.entities import Metric

        metrics = [
            Metric(name, value, int(1000 * row.at), row.step)
            for row in rows
            for name, value in row.values.items()
        ]
        for first in range(0, len(metrics), AT_ONCE):
            self._client.log_batch(self._run_id, metrics=metrics[first : first + AT_ONCE])

    def finish(self, outcome: Outcome) -> None:
        """Log the results and the files, and set how the run ended."""
        for name, value in outcome.results.items():
            self._client.log_metric(self._run_id, name, value)
        for name, path in outcome.files.items():
            if path.is_dir():
                self._client.log_artifacts(self._run_id, str(path), name)
            else:
                self._client.log_artifact(self._run_id, str(path))
        self._client.set_terminated(self._run_id, STATUS.get(outcome.status, "KILLED"))

    def _find(self, run: TrackedRun, experiment: str) -> str | None:
        """The id of the run that is resumed, or tried again by its sweep; None if there is none."""
        if run.id is not None or not (run.resumes or run.sweep):
            return run.id
        found = self._client.search_runs([experiment], f"tags.`{NAME}` = '{run.name}'")
        return str(found[0].info.run_id) if found else None

    def _uri(self, run: TrackedRun) -> str:
        local = f"sqlite:///{run.runs_dir / 'mlflow.db'}"
        return self.uri or os.environ.get("MLFLOW_TRACKING_URI") or local

    @contextmanager
    def _open(self, run: TrackedRun) -> Iterator[str]:
        """Connect; the experiment's id. Runs that start at once do not both make a database."""
        # MLflow sends statistics of its use to its makers; a tracker sends nothing by itself.
        os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
        # Else it tries a server that does not answer for minutes.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
        from mlflow.tracking import MlflowClient

        run.runs_dir.mkdir(parents=True, exist_ok=True)
        with Path(run.runs_dir, ".mlflow.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            self._client = MlflowClient(tracking_uri=self._uri(run))
            name = self.experiment or run.experiment
            if (found := self._client.get_experiment_by_name(name)) is not None:
                experiment = found.experiment_id
            else:
                is_local = self._uri(run).startswith("sqlite:")
                files = (run.runs_dir / "mlflow-artifacts").as_uri() if is_local else None
                experiment = self._client.create_experiment(name, artifact_location=files)
            yield str(experiment)

    def _log_parameters(self, run: TrackedRun) -> None:
        from mlflow.entities import Param

        parameters = [Param(n, str(value)[:LONGEST]) for n, value in run.parameters.items()]
        for first in range(0, len(parameters), 100):
            self._client.log_batch(self._run_id, params=parameters[first : first + 100])
