"""A run as a Python object: its record, its curves, and its model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dlrun.api.guest_call import check_overrides, guest_call, on_this_backend
from dlrun.api.run_model import RunModel
from dlrun.config.project import HERE, Project
from dlrun.errors import DlrunError
from dlrun.runs.directory import CONFIG, RECORD
from dlrun.runs.locate import find_run
from dlrun.runs.names import short_names
from dlrun.runs.status import current_status
from dlrun.system.files import read_json


class Run:
    """A run directory.

    Args:
        path: The directory.
        config_dir: A project: its modules and configs/; by default the working directory.
        trust: Modules that the run may name, beside those that your options name.

    Raises:
        DlrunError: If there is no run.
    """

    def __init__(
        self, path: Path | str, *, config_dir: Path | str | None = None, trust: Sequence[str] = ()
    ) -> None:
        self._open(find_run(str(path), Path("runs")).path, Project.of(config_dir, trust))

    @classmethod
    def from_listing(cls, path: Path) -> Run:
        """A run that has just been found, of which nothing else is looked at yet."""
        run = cls.__new__(cls)
        run._open(path, HERE)
        return run

    def _open(self, path: Path, project: Project) -> None:
        self.path = path.absolute()
        self._project = project
        self._model = RunModel(self.path, project)

    @property
    def name(self) -> str:
        """A short name that ``dlrun`` takes too: ``mnist_mlp/k3f9``."""
        return short_names([self.path], parts=2)[0]

    @property
    def record(self) -> dict[str, Any]:
        """The content of ``run.json`` as it is now.

        Raises:
            DlrunError: If it can't be read, as the run was removed or renamed.
        """
        try:
            record = dict(read_json(self.path / RECORD))
        except (OSError, ValueError, TypeError) as error:
            raise DlrunError(f"{self.path / RECORD} can't be read: {error}") from error
        return record | current_status(self.path, record)

    @property
    def config(self) -> dict[str, Any]:
        """The resolved config."""
        from dlrun.config.run_config import read_config

        return read_config(self.path / CONFIG)

    @property
    def status(self) -> str:
        """``running``, ``completed``, ``failed``, ``interrupted`` or ``killed``."""
        return str(self.record["status"])

    @property
    def train(self) -> dict[str, float]:
        """The training metrics of the best epoch; empty before the run has completed."""
        return dict(self.record.get("train") or {})

    @property
    def validation(self) -> dict[str, float]:
        """The validation metrics of the best epoch."""
        return dict(self.record.get("validation") or {})

    @property
    def test(self) -> dict[str, float]:
        """The test metrics with the weights of the best epoch."""
        return dict(self.record.get("test") or {})

    @property
    def history(self) -> Any:
        """The logged values, a row for each epoch.

        A frame where pandas is installed, else a list of mappings.
        """
        from dlrun.inference.in_memory import as_frame
        from dlrun.runs.history import read_history

        return as_frame(read_history(self.path))

    def evaluate(
        self,
        *overrides: str,
        split: str | None = None,
        checkpoint: str | int = "best",
        data: Path | str | None = None,
        on_error: str = "fail",
        quiet: bool = False,
    ) -> dict[str, Any]:
        """Evaluate the run's model, on the backend that this process runs.

        Args:
            *overrides: Changes to the run's config: backend, data, batch size, metrics.
            split: ``train``, ``validation`` or ``test``; None for ``test``.
            checkpoint: ``best``, ``last`` or the number of an epoch.
            data: A table with the run's columns and targets, or folders named by class, all of
                which is evaluated.
            on_error: ``fail`` at a sample of ``data`` that can't be read, or ``skip`` it.
            quiet: Show nothing but warnings.

        Returns:
            As ``dlrun evaluate --json`` prints it; ``metrics`` has the values by name.

        Raises:
            DlrunError: If the run, an override or the checkpoint is unusable.
        """
        from dlrun.api.evaluate import evaluate

        _require_on_error(on_error)
        with guest_call(config_dir=self._project.config_dir, quiet=quiet):
            result, _ = evaluate(
                str(self.path),
                on_this_backend(overrides),
                which=str(checkpoint),
                split=split,
                data=None if data is None else Path(data),
                on_error=on_error,
                project=self._project,
            )
            return result

    def predict(
        self,
        inputs: Any = None,
        *overrides: str,
        checkpoint: str | int = "best",
        top: int | None = None,
        ids: Sequence[str] = (),
        on_error: str = "fail",
        quiet: bool = False,
    ) -> Any:
        """Predict with the task's activation.

        Args:
            inputs: An array ``(samples, *input_shape)``, or a mapping of one for each input:
                integers are scaled as the training data were, floats must be scaled already. A
                frame, or a mapping of columns, for a run that was trained on a table. The path of
                what ``dlrun predict --input`` takes. None for the test split.
            *overrides: Changes to the run's config: backend, batch size.
            checkpoint: ``best``, ``last`` or the number of an epoch.
            top: For columns: so many of the best classes instead of every class.
            ids: For columns: those that name the rows.
            on_error: For columns: ``fail`` at a row that can't be read, or ``skip`` it.
            quiet: Show nothing but warnings.

        Returns:
            For arrays, and for the test split, an array ``(samples, *output_shape)``, or a mapping
            of one for each output. For columns and paths a frame, as ``dlrun predict`` writes it;
            a list of mappings where pandas is not installed.

        Raises:
            DlrunError: If the run or the inputs are unusable.
        """
        from dlrun.inference.in_memory import as_frame, frame_as_file, is_frame

        _require_on_error(on_error)
        with guest_call(config_dir=self._project.config_dir, quiet=quiet):
            options = {"which": str(checkpoint), "top": top, "ids": ids, "on_error": on_error}
            if isinstance(inputs, str | Path):
                return as_frame(self._model.rows(Path(inputs), overrides, options))
            if (is_frame(inputs) or isinstance(inputs, Mapping)) and self._model.takes_columns():
                with frame_as_file(inputs) as path:
                    return as_frame(self._model.rows(path, overrides, options))
            if top is not None or ids or on_error != "fail":
                raise DlrunError("top, ids and on_error are for columns, not for arrays")
            predictor = self._model.array_predictor(overrides, str(checkpoint), inputs is None)
            if inputs is None:
                return predictor.test_split()
            return predictor(inputs.to_numpy() if is_frame(inputs) else inputs)

    def model(
        self, *overrides: str, checkpoint: str | int = "best", activation: bool = False
    ) -> Any:
        """The trained model, a new one for each call.

        Args:
            *overrides: Changes to the run's config: backend, precision.
            checkpoint: ``best``, ``last`` or the number of an epoch.
            activation: Whether it has the task's activation; without, a classifier returns logits.

        Returns:
            A ``keras.Model`` with the weights of that epoch. It takes what the run's model takes:
            scaled inputs.

        Raises:
            DlrunError: If the run or the checkpoint is unusable.
        """
        with guest_call(config_dir=self._project.config_dir):
            loaded = self._model.load(overrides, str(checkpoint), needs_data=False)
            if not activation:
                return loaded.model
            from dlrun.assembly.model import with_activation

            return with_activation(loaded.model, loaded.config, loaded.spec)

    def resume(self, *overrides: str, quiet: bool = False) -> Run:
        """Train on from the newest checkpoint, as if the run had never stopped.

        Args:
            *overrides: Changes to the run's config, such as ``epochs=20``.
            quiet: Show no progress.

        Raises:
            DlrunError: If it can't be resumed, or failed.
            KeyboardInterrupt: If it was interrupted again.
        """
        from dlrun.api.resume import resume

        with guest_call(config_dir=self._project.config_dir, quiet=quiet):
            resume(
                str(self.path),
                check_overrides(overrides),
                runs_dir=self.path.parent,
                project=self._project,
                quiet=quiet,
            )
        return self

    def __repr__(self) -> str:
        from dlrun.report.run import run_line

        try:
            return run_line(self.name, self.record)
        except DlrunError:
            return f"<Run {self.path}: can't be read>"

    def __rich__(self) -> Any:
        """The run for ``rich.print``."""
        from rich.text import Text

        from dlrun.api.show import show
        from dlrun.report.run import run_text

        return Text(run_text(show(str(self.path)), config=False))

    def _repr_html_(self) -> str:
        """The run for a notebook."""
        from dlrun.api.show import show
        from dlrun.report.run_html import run_html

        return run_html(show(str(self.path)))


def _require_on_error(value: str) -> None:
    if value not in ("fail", "skip"):
        raise DlrunError(f"on_error={value!r:.80}: expected 'fail' or 'skip'")
