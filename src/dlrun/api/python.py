"""The functions of ``import dlrun``, for notebooks and scripts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun.api.guest_call import check_overrides, guest_call, on_this_backend
from dlrun.api.run import Run
from dlrun.config.project import Project

if TYPE_CHECKING:
    from dlrun.config.schema import Config


def train(
    *overrides: str,
    from_run: Run | Path | str | None = None,
    needed: bool = False,
    config_dir: Path | str | None = None,
    trust: Sequence[str] = (),
    quiet: bool = False,
) -> Run:
    """Train a model in this process, keep its best epoch, and evaluate it on the test split.

    Where no override chooses a backend, it is the one that Keras runs on in this process, else that
    of the variable ``KERAS_BACKEND``, else the config's.

    Args:
        *overrides: In Hydra's grammar, as after ``dlrun train``: ``"backend=jax"``, ``"epochs=3"``.
        from_run: A run to repeat, or its path, name or ``latest``; the overrides change its config.
        needed: Return an equal run that has completed, if there is one, and train nothing.
        config_dir: A project: its modules and configs/; by default the working directory.
        trust: Modules that may be instantiated, beside those that your options name.
        quiet: Show no progress.

    Raises:
        DlrunError: With exit code 2 if nothing was started, 1 if the run failed.
        KeyboardInterrupt: If the run was interrupted; it can be resumed.
    """
    project = Project.of(config_dir, trust)
    with guest_call(config_dir=project.config_dir, quiet=quiet):
        from dlrun.api.train import train as train_run

        typed = on_this_backend(overrides, or_environment=True)
        result = train_run(
            typed,
            project=project,
            quiet=quiet,
            from_run=None if from_run is None else str(getattr(from_run, "path", from_run)),
            needed=needed,
        )
    return Run(result.run_dir, config_dir=config_dir, trust=trust)


def load_run(
    run: Path | str,
    *,
    runs_dir: Path | str = "runs",
    config_dir: Path | str | None = None,
    trust: Sequence[str] = (),
) -> Run:
    """Open a run; no framework is imported.

    Args:
        run: A run directory, its name or id, or ``latest``.
        runs_dir: Where to look for names and ``latest``.
        config_dir: A project: its modules and configs/; by default the working directory.
        trust: Modules that the run may name, beside those that your options name.

    Raises:
        DlrunError: If there is no such run.
    """
    from dlrun.runs.locate import find_run

    return Run(find_run(str(run), Path(runs_dir)).path, config_dir=config_dir, trust=trust)


class Runs(list[Run]):
    """Runs in a list, which a notebook shows as a table.

    Args:
        result: Of :func:`dlrun.api.list_runs.list_runs`.
        keys: Further keys to show.
    """

    def __init__(self, result: dict[str, Any], keys: Sequence[str] = ()) -> None:
        super().__init__(Run.from_listing(Path(record["run_dir"])) for record in result["runs"])
        self._result, self._keys = result, tuple(keys)

    def frame(self) -> Any:
        """A row for each run and a column for each value of ``run.json``.

        A frame where pandas is installed, else a list of mappings.
        """
        from dlrun.inference.in_memory import as_frame
        from dlrun.runs.query import flat

        return as_frame(
            [
                {key: value for key, value in flat(record) if not isinstance(value, dict)}
                for record in self._result["runs"]
            ]
        )

    def __repr__(self) -> str:
        from dlrun.report.runs import runs_table

        return runs_table(self._result, self._keys, width=120)

    def _repr_html_(self) -> str:
        from dlrun.report.run_html import preformat

        return preformat(repr(self))


def runs(
    runs_dir: Path | str = "runs",
    *,
    where: Sequence[str] | str = (),
    sort: str = "started",
    reverse: bool = False,
    limit: int | None = None,
) -> Runs:
    """The runs in a folder, newest first; no framework is imported.

    Args:
        runs_dir: A folder that holds runs at any depth.
        where: Conditions that must all hold, as ``"val_accuracy>0.97"``.
        sort: The key to sort by.
        reverse: Reverse the order.
        limit: Return at most this many.

    Raises:
        DlrunError: If the folder can't be read, or no run has a key of ``where`` or ``sort``.
    """
    from dlrun.api.list_runs import list_runs
    from dlrun.runs.query import parse

    conditions = [where] if isinstance(where, str) else list(where)
    result = list_runs(Path(runs_dir), where=conditions, sort=sort, reverse=reverse, limit=limit)
    return Runs(result, [sort, *(parse(condition).key for condition in conditions)])


def compose(
    *overrides: str, config_dir: Path | str | None = None, trust: Sequence[str] = ()
) -> Config:
    """The config of a run, composed and checked; nothing is trained and no framework imported.

    Args:
        *overrides: As for :func:`train`.
        config_dir: A project: its modules and configs/; by default the working directory.
        trust: Modules that may be instantiated, beside those that your options name.

    Raises:
        DlrunError: With every mistake.
    """
    project = Project.of(config_dir, trust)
    with guest_call(config_dir=project.config_dir):
        from dlrun.config.compose import compose as compose_config

        return compose_config(check_overrides(overrides), project=project)
