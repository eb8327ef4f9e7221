"""A run in a process that only computes its part: rank 0 writes everything."""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from dlrun.assembly.require import require
from dlrun.assembly.start import start
from dlrun.config.compose import compose, recompose
from dlrun.config.groups import RESUMABLE
from dlrun.config.project import Project
from dlrun.config.schema import Config
from dlrun.system import ranks
from dlrun.training.request import RunRequest

# What a callback writes, or prints, is rank 0's. Callbacks of the user's run in every process.
WRITERS = ("dlrun.callbacks.",)
KERAS_WRITERS = ("ModelCheckpoint", "CSVLogger", "TensorBoard", "BackupAndRestore", "RemoteMonitor")


@dataclasses.dataclass(frozen=True)
class _Nowhere:
    """The destination of a run that writes nothing."""

    path: Path

    def open(self, record: dict[str, Any], inputs: str) -> NoReturn:
        """Not called: rank 0 opens the run's directory."""
        raise AssertionError(self.path)


def follow_train(overrides: Sequence[str], project: Mapping[str, Any]) -> None:
    """The part of another process in ``dlrun train``; the arguments are those of rank 0."""
    follow(compose(overrides, project=Project.from_json(project)))


def follow_resume(
    recorded: dict[str, Any],
    overrides: Sequence[str],
    project: Mapping[str, Any],
    typed: Sequence[str],
    at: Mapping[str, Any] | None,
) -> None:
    """The part of another process in ``dlrun resume``.

    Args:
        recorded: The run's config as it was.
        overrides: As rank 0's, like the next two.
        project: See there.
        typed: See there.
        at: From :func:`dlrun.training.resumption.for_others`; None if rank 0 tells it later.
    """
    config = recompose(
        recorded,
        overrides,
        changeable=RESUMABLE,
        project=Project.from_json(project),
        typed_before=typed,
        training=True,
    )
    follow(config, at)


def follow(config: Config, at: Mapping[str, Any] | None = None) -> None:
    """Train along with rank 0, which ends the run.

    Args:
        config: The run's config.
        at: As for :func:`follow_resume`.
    """
    require(config, training=True)
    config.export, config.tracker = {}, {}
    config.callbacks = {
        name: spec
        for name, spec in config.callbacks.items()
        if not str(spec.get("_target_")).startswith(WRITERS)
        and str(spec.get("_target_")).rpartition(".")[2] not in KERAS_WRITERS
    }
    session = start(config)
    from dlrun.training.assembled_run import assemble, connect
    from dlrun.training.loop import train
    from dlrun.training.resumption import of_rank_0

    group = ranks.current()
    at = at or (group.at if group else None)
    resumption = of_rank_0(at) if at else None
    with tempfile.TemporaryDirectory(prefix="dlrun-") as scratch:
        request = RunRequest(
            config,
            (),
            (),
            time.time(),
            _Nowhere(Path(scratch)),
            "",
            resumption=resumption,
            ends=at["ends"] if at else (),
            quiet=True,
        )
        run = assemble(request, session)
        train(run, request, connect(run, request, None))
