"""``dlrun resume``: go on with a run from its newest good checkpoint."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun import backends, feeds
from dlrun.assembly.start import start
from dlrun.config.compose import recompose, to_yaml
from dlrun.config.recorded import read_yaml
from dlrun.config.schema import Config
from dlrun.errors import DlrunError
from dlrun.runs.directory import CONFIG, INPUTS, RunDir
from dlrun.runs.locate import find_run
from dlrun.system.files import write_text
from dlrun.training.initial_weights import read_initial_weights

if TYPE_CHECKING:  # NumPy is not needed to tell that the command is wrong
    from dlrun.checkpoints.format import CheckpointData
    from dlrun.checkpoints.store import Position
    from dlrun.training.resumption import Resumption
    from dlrun.training.reuse import ProcessCache

log = logging.getLogger("dlrun")

# What may differ from the run as it was; all else decides what the arrays mean, or their order.
CHANGEABLE = (
    "epochs",
    "backend",
    "device",
    "loop",
    "callbacks",
    "optimizer.learning_rate",
    "data.feed",
    "export_keras",
)
# What a resumed run's record tells of the process that went on.
RENEWED = ("backend", "device", "host", "cores", "versions", "loop")


def resume(
    run: str,
    overrides: Sequence[str],
    *,
    runs_dir: Path,
    config_dir: Path | None = None,
    trusted: Sequence[str] = (),
    typed: Sequence[str] = (),
    quiet: bool = False,
    watch: Callable[[dict[str, Any]], bool] | None = None,
    warm: ProcessCache | None = None,
) -> dict[str, Any]:
    """Train a run to its end, as if it had never stopped.

    Args:
        run: A run directory, or ``latest``.
        overrides: What is to change, of ``CHANGEABLE``.
        runs_dir: Where ``latest`` looks.
        config_dir: The user's own options.
        trusted: Modules that the recorded config may name beside those.
        typed: What the user has typed for this very run, where it began just now.
        quiet: Leave out the progress.
        watch: As for :func:`dlrun.training.run.train_run`.
        warm: Likewise.

    Returns:
        The result, as ``dlrun train --json`` prints it.

    Raises:
        DlrunError: With exit code 2 if nothing was started, with 1 if the run failed.
        Interrupted: If a signal stopped the run; its record says so.
    """
    opened = find_run(run, runs_dir)
    with opened.locked():
        recorded = read_yaml(opened.path / CONFIG)
        config = recompose(
            recorded,
            overrides,
            changeable=CHANGEABLE,
            config_dir=config_dir,
            trusted=trusted,
            typed=typed,
            training=True,
        )
        compile = str(config.loop.get("compile", "auto"))
        backends.require(config.backend.name, training=True, compile=compile)
        feeds.require(config.feed)
        backends.prepare(config.backend.name)
        from dlrun.training import record
        from dlrun.training.run import train_run

        text = to_yaml(config)
        behind = _behind(opened, recorded, config)
        weights = read_initial_weights(config) if behind is None else None
        if quiet:
            config.callbacks.pop("progress", None)
        started = start(config, config.feed, warm)

        def begin(told: dict[str, Any]) -> RunDir:
            _refuse_other_data(opened.record, told)
            try:
                write_text(opened.path / CONFIG, text)
                write_text(opened.path / INPUTS, started.data.spec.to_json())
                _renew(opened, told, behind)
            except OSError as error:
                raise record.write_error(opened, error) from error
            return opened

        return train_run(
            config,
            overrides,
            started,
            opened.path,
            begin,
            weights=weights,
            behind=behind,
            watch=watch,
            warm=warm,
        )


def _behind(opened: RunDir, recorded: dict[str, Any], config: Config) -> Resumption | None:
    """What the run has done; None if it has no checkpoint and begins anew.

    Raises:
        DlrunError: If it has nothing left to do, or no checkpoint of it can be read.
    """
    from dlrun.checkpoints.store import checkpoint_path, remove_leftovers
    from dlrun.training.resumption import Resumption

    remove_leftovers(opened.checkpoints)
    opened.clean()
    if (found := _newest(opened, config)) is None:
        log.warning("%s has no checkpoint yet: it begins anew", opened.path)
        return None
    at, saved = found
    stopped = bool(saved.state["stopped"]) and recorded["callbacks"] == config.callbacks
    if not stopped:  # what a callback has decided does not bind one that was changed
        for state in saved.state["callbacks"].values():
            state.pop("stopped_epoch", None)
    if opened.record.get("status") == "completed" and (stopped or at.epochs >= config.epochs):
        by = opened.record.get("stopped_by")
        raise DlrunError(
            f"{opened.path} has nothing left to do: "
            + (f"{by} stopped it after {at}" if stopped else f"it has its {at.epochs} epochs"),
            hint=f"~callbacks.{by}, or another of its arguments, lets it go on"
            if stopped
            else f"epochs={2 * at.epochs} lets it go on",
        )
    if config.epochs > at.epochs == recorded["epochs"]:
        for name, spec in config.callbacks.items():
            if spec.get("_target_") == "keras.callbacks.SwapEMAWeights":
                raise DlrunError(
                    f"epochs={config.epochs}: in the last epoch, {at.epochs}, callbacks.{name} has"
                    " left nothing but the averages of the weights to go on from",
                    hint=f"begin another run with init_from={opened.path}",
                )
    before = recorded["optimizer"].get("learning_rate")
    rate = config.optimizer.get("learning_rate")
    return Resumption(
        at,
        checkpoint_path(opened.checkpoints, at),
        saved,
        learning_rate=rate if rate != before else None,
        stopped=stopped,
    )


def _newest(opened: RunDir, config: Config) -> tuple[Position, CheckpointData] | None:
    """The newest checkpoint that can be read.

    Raises:
        DlrunError: If there are some, and none can be.
    """
    from dlrun.checkpoints.format import read_checkpoint
    from dlrun.checkpoints.resumable import check_resumable
    from dlrun.checkpoints.store import Position, checkpoint_path, list_positions

    kept = list_positions(opened.checkpoints)
    targets = {name: str(spec.get("_target_")) for name, spec in config.callbacks.items()}
    for at in reversed(kept):
        path = checkpoint_path(opened.checkpoints, at)
        try:
            saved = read_checkpoint(path)
            check_resumable(saved.state, at, targets)
        except DlrunError as error:
            log.warning("%s", error.message)
            continue
        except ValueError as error:
            log.warning("checkpoint %s can't be read: %s", path, error)
            continue
        if at != kept[-1]:
            log.warning("going back to %s", at)
        best = saved.state["best"]
        if best and Position(int(best["epoch"])) not in kept:
            # It went when a better one came, and that is the one that can't be read.
            saved = dataclasses.replace(saved, state={**saved.state, "best": None})
        return at, saved
    if kept:
        raise DlrunError(f"no checkpoint of {opened.path} can be read", hint="train it again")
    return None


def _refuse_other_data(before: dict[str, Any], now: dict[str, Any]) -> None:
    had, has = before.get("data_fingerprint", {}), now["data_fingerprint"]
    for split in had:
        if had[split] != has.get(split):
            raise DlrunError(
                f"the data set is not the one that the run began with: its {split} split was"
                f" {had[split]}, and is {has.get(split)}",
                hint="bring the data back as it was, or begin another run with init_from=RUN",
            )


def _renew(opened: RunDir, told: dict[str, Any], behind: Resumption | None) -> None:
    """Record the resumption, and take back what the end before it had recorded."""
    changed = [key for key in RENEWED if opened.record.get(key) != told[key]]
    entry = {
        **{key: told[key] for key in ("command", "overrides", "started")},
        "after": {"epochs": behind.at.epochs, "steps": behind.at.steps} if behind else None,
        "before": {key: opened.record.get(key) for key in changed},
    }
    for key in ("error", "traceback", "stopped_by"):
        opened.record.pop(key, None)
    opened.update(
        status="running",
        resumed=[*opened.record.get("resumed", []), entry],
        config=told["config"],
        **{key: told[key] for key in RENEWED},
    )
