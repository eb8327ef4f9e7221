"""``dlrun resume``: continue a run from its newest readable checkpoint."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun import backends
from dlrun.assembly.companions import companions
from dlrun.assembly.length import run_end, with_more, with_recorded_length
from dlrun.assembly.require import require
from dlrun.config.compose import overrides_part, recompose, to_yaml
from dlrun.config.groups import RESUMABLE
from dlrun.config.options import project_dir
from dlrun.config.project import HERE, Project
from dlrun.config.run_config import read_config
from dlrun.config.schedules import check_resumed_rate
from dlrun.config.schema import Config
from dlrun.data.length import recorded_length
from dlrun.errors import DlrunError
from dlrun.remote.fetch import refuse_writers
from dlrun.runs.directory import CONFIG, RECORD, RunDir, lock
from dlrun.runs.locate import find_run
from dlrun.runs.result import LENGTHS, RunResult
from dlrun.system import ranks
from dlrun.system.equality import is_same
from dlrun.training.initial_weights import read_initial_weights
from dlrun.training.request import OnEpoch, RunRequest

if TYPE_CHECKING:  # NumPy is not needed to report a wrong command
    from dlrun.training.destinations import ResumedDestination
    from dlrun.training.resumption import Resumption
    from dlrun.training.reuse import ProcessCache

log = logging.getLogger("dlrun")

# What a result depends on, or a run leaves: of no effect once nothing is left to train.
AT_THE_END = ("callbacks", "export", "optimizer", "tracker")


def resume(
    run: str,
    overrides: Sequence[str],
    *,
    runs_dir: Path,
    project: Project = HERE,
    typed: Sequence[str] = (),
    command: Sequence[str] | None = None,
    started_at: float | None = None,
    on_epoch: OnEpoch | None = None,
    cache: ProcessCache | None = None,
    quiet: bool = False,
) -> RunResult:
    """Train a run to its end, as if it had never been stopped; a completed one is left as it is.

    Args:
        run: A run directory, or ``latest``.
        overrides: Changes to the run's config; only to keys of
            :data:`dlrun.config.groups.RESUMABLE`. ``epochs=+5`` means five more.
        runs_dir: Where to look for ``latest``.
        project: The user's own options, and what is trusted.
        typed: Overrides of the original run, if the user typed them in this command; the modules
            that they name are trusted.
        command: The command line, for the record.
        started_at: When the user resumed the run, in seconds since the epoch; by default now.
        on_epoch: As in :class:`dlrun.training.request.RunRequest`.
        cache: As in :class:`dlrun.training.request.RunRequest`.
        quiet: Show no progress.

    Raises:
        DlrunError: With exit code 2 if nothing was started, 1 if the run failed.
        RunInterrupted: If a signal stopped the run; its record says so.
    """
    started_at = time.time() if started_at is None else started_at
    opened = find_run(run, runs_dir)
    sources = {"project": project.to_json(), "typed": list(typed)}
    group = ranks.started_outside()
    if group:
        _follow_if_not_first(group, opened, run, overrides, sources)
    with lock(opened.path):
        refuse_writers(opened.path)
        recorded = read_config(opened.path / CONFIG)
        command = command or ["dlrun", "resume", run, *overrides]
        overrides = with_more(overrides, recorded, restarts=group is not None)
        config = recompose(
            recorded,
            overrides,
            changeable=RESUMABLE,
            project=project,
            typed_before=typed,
            training=True,
            trained_in=None if project.config_dir else opened.project,
        )
        if (result := _result_if_complete(opened, recorded, config, overrides)) is not None:
            return result
        resumption, ends, destination = _find_resumption(opened, recorded, config)
        request = RunRequest(
            config,
            overrides,
            command,
            started_at,
            destination,
            str(project_dir(project.config_dir)),
            initial_weights=read_initial_weights(config) if resumption is None else None,
            resumption=resumption,
            ends=ends,
            on_epoch=on_epoch,
            cache=cache,
            quiet=quiet,
        )
        return _train(request, recorded, sources)


def _follow_if_not_first(
    group: ranks.Group, opened: RunDir, run: str, overrides: Sequence[str], sources: dict[str, Any]
) -> None:
    """As one of the other processes of a launcher, train with the first one, and exit.

    Raises:
        DlrunError: If another launcher than dlrun's started this process.
        SystemExit: At the end, as the first process does the rest.
    """
    if not group.launcher:
        raise DlrunError(
            "dlrun resume can't be started by torchrun: it starts its processes itself",
            hint=f"dlrun resume {run}",
        )
    if not group.rank:
        return
    from dlrun.training.follow import follow_resume

    with ranks.join_group(group):
        recorded = read_config(opened.path / CONFIG)
        more = with_more(overrides, recorded, restarts=True)
        follow_resume(recorded, more, at=None, **sources)
    raise SystemExit(0)


def _find_resumption(
    opened: RunDir, recorded: dict[str, Any], config: Config
) -> tuple[Resumption | None, Sequence[int], ResumedDestination]:
    """Where the run goes on, how its epochs ended, and its directory without what was left.

    Raises:
        DlrunError: If what the config needs is not there, or nothing can be resumed from.
    """
    require(config, training=True)
    backends.prepare(config.backend.name)
    from dlrun.checkpoints.store import remove_leftovers
    from dlrun.training.destinations import ResumedDestination
    from dlrun.training.newest_checkpoint import decided_ends, find_resumption

    check_resumed_rate(recorded, config)
    remove_leftovers(opened.checkpoints)
    opened.clean()
    resumption = find_resumption(opened, recorded, config)
    saved = recorded_length(resumption.saved.state.get("length")) if resumption else None
    ends = decided_ends(opened, saved)
    return resumption, ends, ResumedDestination(opened, to_yaml(config), resumption)


def _train(request: RunRequest, recorded: dict[str, Any], sources: dict[str, Any]) -> RunResult:
    """Train to the end, with the processes of the other devices."""
    from dlrun.training.resumption import for_others
    from dlrun.training.run import train_run

    others = companions(
        request.config,
        "dlrun.training.follow:follow_resume",
        recorded=recorded,
        overrides=list(request.overrides),
        at=for_others(request.resumption, request.ends),
        **sources,
    )
    with others:
        return train_run(request)


def _result_if_complete(
    opened: RunDir, recorded: dict[str, Any], config: Config, overrides: Sequence[str]
) -> RunResult | None:
    """The result of a completed run that has nothing left to do; None if it has.

    Raises:
        DlrunError: If its result can't be read, or an override has no effect any more.
    """
    if opened.record.get("status") != "completed":
        return None
    try:
        result = RunResult.from_record(opened.record, str(opened.path))
    except ValueError as error:
        raise DlrunError(f"{opened.path / RECORD} can't be read: {error}") from error
    # A changed callback must decide again.
    stopped = result.stopped_by not in LENGTHS and is_same(recorded["callbacks"], config.callbacks)
    known = recorded_length(opened.record.get("length"))
    trained = known.samples_until(result.epochs) if known else result.epochs
    if not stopped and trained < run_end(config, known):
        return None
    done = "its epoch is done" if result.epochs == 1 else f"all {result.epochs} epochs are done"
    longer = f"epochs={2 * result.epochs}"
    if result.stopped_by == "max_steps" and result.steps:
        done, longer = f"all {result.steps:,} steps are done", f"max_steps={2 * result.steps}"
    if stopped:
        done = f"{result.stopped_by} stopped it after epoch {result.epochs}"
        longer = f"~callbacks.{result.stopped_by} or change its arguments"
    check_resumed_rate(recorded, config)
    parts = [
        part for part in AT_THE_END if not is_same(recorded.get(part, {}), getattr(config, part))
    ]
    if run_end(config, known) > run_end(with_recorded_length(config, recorded), known):
        parts += LENGTHS
    if late := [o for o in overrides if any(overrides_part([o], part) for part in parts)]:
        raise DlrunError(
            f"{late[0]}: {opened.path} has nothing left to do: {done}",
            hint=f"to train longer, add {longer}",
        )
    log.info("%s is complete: %s; to train longer, add %s", opened.path, done, longer)
    return result
