"""The checkpoint that a resumed run continues from: the newest that can be read and leads on.

It imports NumPy, so it is imported after :func:`dlrun.backends.prepare`.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from typing import Any

from dlrun.assembly.length import run_end, run_length, with_recorded_length
from dlrun.checkpoints.format import CheckpointData, read_checkpoint
from dlrun.checkpoints.resumable import check_resumable
from dlrun.checkpoints.store import Position, checkpoint_path, list_positions
from dlrun.config.schema import Config
from dlrun.data.length import ClockedLength, Length, recorded_length
from dlrun.errors import DlrunError
from dlrun.runs.directory import RunDir
from dlrun.system.equality import is_same
from dlrun.training.resumption import Resumption

log = logging.getLogger("dlrun")


def find_resumption(opened: RunDir, recorded: dict[str, Any], config: Config) -> Resumption | None:
    """Where the run continues; None if it has no checkpoint and starts again.

    Args:
        opened: The run, locked.
        recorded: Its config as it was.
        config: Its config with the changes of now.

    Raises:
        DlrunError: If none of its checkpoints can be read, or training can't continue from it.
    """
    if (newest := _newest(opened, config)) is None:
        gone = opened.record.get("dropped") is True
        why = "has no checkpoint, as --keep of its sweep says" if gone else "has no checkpoint yet"
        log.warning("%s %s: it starts again", opened.path, why)
        return None
    at, saved = newest
    stopped = bool(saved.state["stopped"]) and is_same(recorded["callbacks"], config.callbacks)
    if not stopped:  # a changed callback must decide again
        for state in saved.state["callbacks"].values():
            state.pop("stopped_epoch", None)
    known = recorded_length(saved.state.get("length"))
    trained = known.total if known else at.epochs
    if trained == run_end(with_recorded_length(config, recorded), known) < run_end(config, known):
        for name, spec in config.callbacks.items():
            if spec.get("_target_") == "keras.callbacks.SwapEMAWeights":
                raise DlrunError(
                    f"after the last epoch, {at.epochs}, callbacks.{name}"
                    " kept only the averaged weights, from which training can't continue",
                    hint=f"train a new run with init_from={opened.path}",
                )
    before = recorded["optimizer"].get("learning_rate")
    rate = config.optimizer.get("learning_rate")
    return Resumption(
        at,
        checkpoint_path(opened.checkpoints, at),
        saved,
        epochs=recorded["epochs"],
        max_steps=recorded.get("max_steps"),
        learning_rate=rate if rate != before else None,
        stopped=stopped,
    )


def decided_ends(opened: RunDir, saved: Length | None = None) -> list[int]:
    """What the clock has decided: the record has the newest, and the checkpoint what it needs.

    Args:
        opened: The run.
        saved: The length in its checkpoint; None without one.
    """
    recorded = recorded_length(opened.record.get("length"))
    of_record, of_saved = (
        length.ends if isinstance(length, ClockedLength) else [] for length in (recorded, saved)
    )
    return of_record if of_record[: len(of_saved)] == of_saved else of_saved


def _newest(opened: RunDir, config: Config) -> tuple[Position, CheckpointData] | None:
    """The newest readable checkpoint; None if there is no checkpoint.

    Raises:
        DlrunError: If there are checkpoints, but none can be read.
    """
    positions = list_positions(opened.checkpoints)
    targets = {name: str(spec.get("_target_")) for name, spec in config.callbacks.items()}
    is_skipped = False
    for at in reversed(positions):
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
        if _is_behind(opened, at, saved.state, config):
            is_skipped = True
            continue
        if at != positions[-1] and not is_skipped:
            log.warning("falling back to %s", at)
        best = saved.state["best"]
        if best and Position(int(best["epoch"])) not in positions:
            # The best checkpoint was replaced by a better one, which can't be read.
            saved = dataclasses.replace(saved, state={**saved.state, "best": None})
        return at, saved
    if positions and not is_skipped:
        raise DlrunError(f"no checkpoint of {opened.path} can be read", hint="train it again")
    return None


def _is_behind(opened: RunDir, at: Position, state: Mapping[str, Any], config: Config) -> bool:
    """Whether training must go on from an earlier checkpoint.

    The end of a run may cut an epoch short. A longer run continues within that epoch, and a shorter
    one may end before a step that was taken.
    """
    known = recorded_length(state.get("length"))
    if known is None:
        return False
    length = run_length(config, known.given)
    length.replay(decided_ends(opened, known))
    if at.steps:
        return at.epochs < length.epochs and at.steps >= length.steps_of(at.epochs)
    return length.total > known.total and known.is_cut(known.epochs - 1)
