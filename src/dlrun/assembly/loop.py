"""From a config to the training loop and its callbacks.

Imported once the backend is started.
"""

import functools
import logging
from collections.abc import Callable
from inspect import signature
from pathlib import Path

import keras

from dlrun.checkpoints.store import Position
from dlrun.config.instantiate import fill, instantiate, partial
from dlrun.config.schema import Config
from dlrun.errors import DlrunError
from dlrun.feeds import Feed
from dlrun.loops.training import FIELDS, History, Training

log = logging.getLogger("dlrun")

LoopCall = Callable[[Training], History]
# What a loop that takes the fields of a Training one by one need not take.
OPTIONAL = ("initial_epoch", "initial_step")


def build_callbacks(
    config: Config, run_dir: Path, *, progress: bool = True
) -> dict[str, keras.callbacks.Callback]:
    """Build the callbacks by name, in the config's order.

    Args:
        config: For its callbacks.
        run_dir: The run's directory, which some of them write to.
        progress: Whether to build the one that shows progress.
    """
    return {
        name: instantiate(f"callbacks.{name}", fill(spec, run_dir=str(run_dir)))
        for name, spec in config.callbacks.items()
        if progress or name != "progress"
    }


def build_loop(config: Config, feed: Feed, at: Position | None = None) -> LoopCall:
    """The loop, as a function of a :class:`dlrun.loops.training.Training`.

    A loop of the user's own may still take the fields of one by name. One that takes no feed
    gathers the batches itself.

    Args:
        config: For its loop.
        feed: From batches to a source for ``fit()``.
        at: How far a resumed run has come; None for a new one.

    Raises:
        DlrunError: If the loop can't begin there.
    """
    loop, target = partial("loop", config.loop), config.loop["_target_"]
    takes = signature(loop).parameters
    every = any(taken.kind == taken.VAR_KEYWORD for taken in takes.values())
    if every or "feed" in takes:
        loop = functools.partial(loop, feed=feed)
    if "training" in takes:
        return loop
    names = [name for name in FIELDS if every or name in takes or name not in OPTIONAL]
    begins = {"initial_epoch": at.epochs, "initial_step": at.steps} if at else {}
    for name, value in begins.items():
        if value and name not in names:
            raise DlrunError(
                f"loop: {target} takes no {name}, so it can't be resumed at {at}",
                hint="let it take 'training', a dlrun.loops.training.Training, which has it",
            )
    log.info("loop   %s takes its arguments one by one; new loops take one 'training'", target)
    return functools.partial(_call_by_name, loop, names)


def _call_by_name(loop: Callable[..., History], names: list[str], training: Training) -> History:
    return loop(**{name: getattr(training, name) for name in names})
