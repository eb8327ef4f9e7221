"""``dlrun train``: train one run, from the typed overrides to its result."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun.config.compose import compose, to_yaml
from dlrun.config.project import HERE, Project
from dlrun.system import ranks

if TYPE_CHECKING:
    from dlrun.config.schema import Config
    from dlrun.runs.result import RunResult
    from dlrun.training.request import OnEpoch
    from dlrun.training.reuse import ProcessCache
    from dlrun.training.vectorized import LaneBackend


def train(
    overrides: Sequence[str],
    *,
    project: Project = HERE,
    command: Sequence[str] | None = None,
    started_at: float | None = None,
    path: Path | None = None,
    on_epoch: OnEpoch | None = None,
    cache: ProcessCache | None = None,
    backend: LaneBackend | None = None,
    quiet: bool = False,
    from_run: str | None = None,
    needed: bool = False,
) -> RunResult:
    """Train, keep the best epoch, and evaluate it on the test split.

    Args:
        overrides: As typed after ``dlrun train``.
        project: The user's own options, and what is trusted.
        command: The command line, for the record; by default ``dlrun train`` and the overrides.
        started_at: When the user started the run, in seconds since the epoch; by default now.
        path: The run directory to create; None for a new one in ``runs_dir``.
        on_epoch: As in :class:`dlrun.training.request.RunRequest`.
        cache: As in :class:`dlrun.training.request.RunRequest`, as is ``backend``.
        backend: See there.
        quiet: Show no progress.
        from_run: A run to repeat; the overrides change its config.
        needed: Whether the result of an equal run that has completed is returned instead.

    Raises:
        DlrunError: With exit code 2 if nothing was started, 1 if the run failed.
        RunInterrupted: If a signal stopped the run; its record says so.
    """
    started_at = time.time() if started_at is None else started_at
    if (group := ranks.started_outside()) and group.resumed:  # dlrun launch --restarts
        from dlrun.api.resume import resume

        return resume(
            group.resumed,
            [],
            runs_dir=Path(),
            project=project,
            typed=list(overrides),
            command=command,
            quiet=quiet,
        )
    command = command or _command(overrides, from_run)
    config, overrides, parent = _compose(list(overrides), from_run, project)
    # A mistake in the config is reported without the time that these imports take.
    from dlrun import backends
    from dlrun.assembly.require import require
    from dlrun.config.options import project_dir
    from dlrun.remote.fetch import check_place
    from dlrun.remote.places import shown_path
    from dlrun.runs.directory import plan_run_path
    from dlrun.training.initial_weights import read_initial_weights
    from dlrun.training.request import RunRequest

    require(config, training=True)
    if needed:
        from dlrun.api.finished_run import find_equal_run

        if (found := find_equal_run(config, project.config_dir)) is not None:
            return found
    if path is None:
        check_place(config.runs_dir)
    backends.prepare(config.backend.name)
    if weights := read_initial_weights(config):
        config = dataclasses.replace(config, init_from=shown_path(weights.run))  # not 'latest'
    from dlrun.training import record  # imports NumPy, so only after the config is checked
    from dlrun.training.destinations import NewDestination
    from dlrun.training.run import train_run

    files = _files(config, overrides)
    path = path or plan_run_path(Path(config.runs_dir), str(config.name))
    with (
        _companions(config, overrides, project),
        ThreadPoolExecutor(max_workers=1) as pool,  # git runs while the backend starts
    ):
        directory = project_dir(project.config_dir)
        destination = NewDestination(path, files, pool.submit(record.code_state, directory).result)
        request = RunRequest(
            config,
            overrides,
            command,
            started_at,
            destination,
            str(directory),
            initial_weights=weights,
            parent=parent,
            on_epoch=on_epoch,
            cache=cache,
            backend=backend,
            quiet=quiet,
        )
        return train_run(request)


def _compose(
    overrides: list[str], from_run: str | None, project: Project
) -> tuple[Config, Sequence[str], dict[str, Any] | None]:
    """The config, all of its overrides, and what the record says of the run that it repeats."""
    if from_run is None:
        return compose(overrides, project=project), overrides, None
    from dlrun.api.earlier import compose_from, parent_entry

    earlier, opened = compose_from(from_run, overrides, project=project)
    return earlier.config, earlier.overrides, parent_entry(opened)


def _files(config: Config, overrides: Sequence[str]) -> dict[str, str]:
    """The files that a run directory begins with."""
    from dlrun.runs.directory import CONFIG, OVERRIDES

    lines = [f"- {_quote(override)}\n" for override in overrides]
    return {CONFIG: to_yaml(config), OVERRIDES: "".join(lines)}


def _companions(
    config: Config, overrides: Sequence[str], project: Project
) -> AbstractContextManager[None]:
    """The processes that train beside this one."""
    from dlrun.assembly.companions import companions

    return companions(
        config,
        "dlrun.training.follow:follow_train",
        overrides=list(overrides),
        project=project.to_json(),
    )


def _command(overrides: Sequence[str], from_run: str | None) -> list[str]:
    repeated = ["--from", from_run] if from_run else []
    return ["dlrun", "train", *repeated, *overrides]


def _quote(override: str) -> str:
    # In a single-quoted YAML string only the quote itself is special.
    return "'" + override.replace("'", "''") + "'"
