"""From a config to the training loop and its callbacks.

Imported once the backend is started.
"""

import functools
from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import Any

import keras

from dlrun.checkpoints.store import START, Position
from dlrun.config.instantiate import fill, instantiate, partial
from dlrun.config.schema import Config
from dlrun.errors import DlrunError
from dlrun.feeds import Feed


def build_callbacks(config: Config, run_dir: Path) -> dict[str, keras.callbacks.Callback]:
    """Build the callbacks by name, in the config's order."""
    return {
        name: instantiate(f"callbacks.{name}", fill(spec, run_dir=str(run_dir)))
        for name, spec in config.callbacks.items()
    }


def build_loop(config: Config, feed: Feed, at: Position = START) -> Callable[..., Any]:
    """The loop, with what it takes beyond the rest: a feed, and where to begin.

    One that takes no feed gathers the batches itself.

    Args:
        config: For its loop.
        feed: From batches to a source for ``fit()``.
        at: How far a resumed run has come.

    Raises:
        DlrunError: If the loop can't begin there.
    """
    loop = partial("loop", config.loop)
    takes = signature(loop).parameters
    every = any(taken.kind == taken.VAR_KEYWORD for taken in takes.values())
    given: dict[str, Any] = {"feed": feed} if every or "feed" in takes else {}
    for name, value in (("initial_epoch", at.epochs), ("initial_step", at.steps)):
        if value and not every and name not in takes:
            raise DlrunError(
                f"loop: {config.loop['_target_']} takes no {name}, so it can't be resumed at {at}",
                hint="give it that argument, as dlrun.loops.fit.fit has it",
            )
        given |= {name: value} if value else {}
    return functools.partial(loop, **given)
