"""``dlrun resume``: go on with a run from its newest good checkpoint."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun import backends, feeds, init_from, run_dir
from dlrun.config.compose import recompose, to_yaml
from dlrun.config.recorded import read_yaml
from dlrun.config.schema import Config
from dlrun.errors import DlrunError
from dlrun.files import write_text
from dlrun.start import start

if TYPE_CHECKING:  # NumPy is not needed to tell that the command is wrong
    from dlrun.behind import Behind
    from dlrun.checkpoint import Checkpoint, Position
    from dlrun.warm import Warm

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
    warm: Warm | None = None,
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
        watch: As for :func:`dlrun.training.run`.
        warm: Likewise.

    Returns:
        The result, as ``dlrun train --json`` prints it.

    Raises:
        DlrunError: With exit code 2 if nothing was started, with 1 if the run failed.
        Interrupted: If a signal stopped the run; its record says so.
    """
    opened = run_dir.find(run, runs_dir)
    with opened.locked():
        recorded = read_yaml(opened.path / run_dir.CONFIG)
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
        from dlrun import record, training

        text = to_yaml(config)
        behind = _behind(opened, recorded, config)
        weights = init_from.read(config) if behind is None else None
        if quiet:
            config.callbacks.pop("progress", None)
        started = start(config, config.feed, warm)

        def begin(told: dict[str, Any]) -> run_dir.RunDir:
            _refuse_other_data(opened.record, told)
            try:
                write_text(opened.path / run_dir.CONFIG, text)
                _renew(opened, told, behind)
            except OSError as error:
                raise record.unwritten(opened, error) from error
            return opened

        return training.run(
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


def _behind(opened: run_dir.RunDir, recorded: dict[str, Any], config: Config) -> Behind | None:
    """What the run has done; None if it has no checkpoint and begins anew.

    Raises:
        DlrunError: If it has nothing left to do, or no checkpoint of it can be read.
    """
    from dlrun import checkpoint
    from dlrun.behind import Behind

    checkpoint.clean(opened.checkpoints)
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
    return Behind(
        at,
        checkpoint.path_of(opened.checkpoints, at),
        saved,
        learning_rate=rate if rate != before else None,
        stopped=stopped,
    )


def _newest(opened: run_dir.RunDir, config: Config) -> tuple[Position, Checkpoint] | None:
    """The newest checkpoint that can be read.

    Raises:
        DlrunError: If there are some, and none can be.
    """
    from dlrun import checkpoint, state

    kept = checkpoint.kept(opened.checkpoints)
    targets = {name: str(spec.get("_target_")) for name, spec in config.callbacks.items()}
    for at in reversed(kept):
        path = checkpoint.path_of(opened.checkpoints, at)
        try:
            saved = checkpoint.read(path)
            state.check(saved.state, at, targets)
        except DlrunError as error:
            log.warning("%s", error.message)
            continue
        except ValueError as error:
            log.warning("checkpoint %s can't be read: %s", path, error)
            continue
        if at != kept[-1]:
            log.warning("going back to %s", at)
        best = saved.state["best"]
        if best and checkpoint.Position(int(best["epoch"])) not in kept:
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


def _renew(opened: run_dir.RunDir, told: dict[str, Any], behind: Behind | None) -> None:
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
