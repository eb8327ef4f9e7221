"""Build the config's training loop and callbacks.

Import it after the backend has started.
"""

import functools
import logging
from collections.abc import Callable
from inspect import signature
from pathlib import Path

import keras

from dlrun.assembly.require import without_kept
from dlrun.callbacks.monitor import watch_finite
from dlrun.checkpoints.store import Position
from dlrun.config.instantiate import fill_placeholders, instantiate, partial
from dlrun.config.schema import Config
from dlrun.errors import DlrunError
from dlrun.feeds import Feed
from dlrun.loops.training import FIELDS, History, Training

log = logging.getLogger("dlrun")

LoopCall = Callable[[Training], History]
# Fields of a Training that a loop with separate arguments may omit.
OPTIONAL = ("initial_epoch", "initial_step", "agree")


def build_callbacks(
    config: Config, run_dir: Path, *, progress: bool = True
) -> dict[str, keras.callbacks.Callback]:
    """Build the callbacks by name, in the config's order.

    Args:
        config: The run's config.
        run_dir: The run's directory, which some of them write to.
        progress: Whether to build the progress callback.
    """
    return {
        name: watch_finite(
            instantiate(f"callbacks.{name}", fill_placeholders(spec, run_dir=str(run_dir)))
        )
        for name, spec in config.callbacks.items()
        if progress or name != "progress"
    }


def build_loop(config: Config, feed: Feed, at: Position | None = None) -> LoopCall:
    """Build the loop, a function of a :class:`dlrun.loops.training.Training`.

    A user's own loop may instead take the fields of ``Training`` as separate arguments. A loop
    without a ``feed`` argument gathers the batches itself.

    Args:
        config: The run's config.
        feed: Makes a source for ``fit()`` from batches.
        at: Where a resumed run continues; None for a new run.

    Raises:
        DlrunError: If the loop can't start at that position.
    """
    loop, target = partial("loop", without_kept("loop", config.loop)), config.loop["_target_"]
    parameters = signature(loop).parameters
    takes_any = any(p.kind == p.VAR_KEYWORD for p in parameters.values())
    if takes_any or "feed" in parameters:
        loop = functools.partial(loop, feed=feed)
    if "training" in parameters:
        return loop
    names = [name for name in FIELDS if takes_any or name in parameters or name not in OPTIONAL]
    initial = {"initial_epoch": at.epochs, "initial_step": at.steps} if at else {}
    for name, value in initial.items():
        if value and name not in names:
            raise DlrunError(
                f"loop: {target} takes no {name}, so it can't be resumed at {at}",
                hint="let it take 'training', a dlrun.loops.training.Training, which has it",
            )
    log.info("loop   %s takes separate arguments; new loops take one 'training'", target)
    return functools.partial(_call_by_name, loop, names)


def check_loop(loop: LoopCall, model: keras.Model, *, is_weighted: bool) -> None:
    """Let the loop refuse what it can't train; a user's own has no such check.

    Args:
        loop: From :func:`build_loop`.
        model: A compiled model.
        is_weighted: Whether the training samples have weights.

    Raises:
        DlrunError: If it can't train the model.
    """
    if isinstance(loop, functools.partial) and (check := getattr(loop.func, "check", None)):
        check(model, is_weighted=is_weighted, options=loop.keywords)


def _call_by_name(loop: Callable[..., History], names: list[str], training: Training) -> History:
    return loop(**{name: getattr(training, name) for name in names})
