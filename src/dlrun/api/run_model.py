"""The model of a run in a process of the user's, where it stays loaded between two predictions."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun.api.guest_call import on_this_backend
from dlrun.config.project import Project
from dlrun.runs.locate import find_run

if TYPE_CHECKING:
    from dlrun.inference.in_memory import ArrayPredictor
    from dlrun.inference.loaded_run import LoadedRun


class RunModel:
    """Loads a run's model, and predicts with it.

    Args:
        path: The run's directory.
        project: The user's own options, and what is trusted.
    """

    def __init__(self, path: Path, project: Project) -> None:
        self._path, self._project = path, project
        self._predictor: tuple[Any, ArrayPredictor] | None = None

    def takes_columns(self) -> bool:
        """Whether the run was trained on a table."""
        from dlrun.inference.in_memory import takes_columns
        from dlrun.inference.loaded_run import read_saved_spec

        return takes_columns(read_saved_spec(find_run(str(self._path), self._path)))

    def rows(
        self, source: Path, overrides: Sequence[str], options: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        """The predictions for a file, a mapping for each row."""
        from dlrun.api.predict import predict

        written = io.StringIO()
        predict(
            str(self._path),
            on_this_backend(overrides),
            source=source,
            output=Path("-"),
            stdout=written,
            stdout_kind="jsonl",
            project=self._project,
            **options,
        )
        return [json.loads(line) for line in written.getvalue().splitlines()]

    def array_predictor(
        self, overrides: Sequence[str], which: str, needs_data: bool
    ) -> ArrayPredictor:
        """A predictor, loaded once for the same checkpoint and overrides."""
        from dlrun.checkpoints.store import list_positions
        from dlrun.inference.in_memory import ArrayPredictor

        key = (tuple(overrides), which, list_positions(self._path / "checkpoints"))
        if self._predictor is None or self._predictor[0] != key or needs_data:
            loaded = self.load(overrides, which, needs_data=needs_data)
            self._predictor = key, ArrayPredictor(loaded)
        return self._predictor[1]

    def load(self, overrides: Sequence[str], which: str, *, needs_data: bool) -> LoadedRun:
        """The model of a checkpoint, on the backend of this process."""
        from dlrun.inference.loaded_run import load_run, open_run, read_input_spec

        typed = on_this_backend(overrides)
        opened, config = open_run(
            str(self._path),
            typed,
            runs_dir=self._path.parent,
            project=self._project,
            needs_data=needs_data,
        )
        spec = None if needs_data else read_input_spec(opened, typed)
        return load_run(opened, config, which, compiled=False, spec=spec)
